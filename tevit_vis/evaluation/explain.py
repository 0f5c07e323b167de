"""Explains a score: which parts of a submission are not counted, and which mistakes it may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tevit_vis.annotated_videos import parse_videos

from .scores import Evaluation
from .submission import submission_faults
from .tubes import parse_ground_truth
from .ytvis_eval import evaluate

MIN_GAIN = 0.1  # AP that a known mistake must cost to be reported
HIGH_AP = 0.75  # AP from which no mistakes are looked for
MAX_FAULTS = 3  # shown at most


def explain_score(
    content: dict, results: Sequence[dict], evaluation: Evaluation, origin: str
) -> list[str]:
    """Returns lines on what does not count in a submission, and on mistakes that lower its score.

    Three mistakes are looked for: category ids that are off by one, other categories, and masks
    whose height and width are swapped. The first two are reported if AP without them would be
    better by more than ``MIN_GAIN``.

    Args:
        content: of the annotation file.
        results: entries of the submission; they can be scored.
        evaluation: the scores of the entries.
        origin: names the submission in the lines.
    """
    faults = submission_faults(results, content, origin)
    lines = faults[:MAX_FAULTS]
    if len(faults) > MAX_FAULTS:
        lines.append(f'{origin}: and {len(faults) - MAX_FAULTS} more faults (submission.py check)')
    lines += _videos_without_entries(content, results, origin)
    score = evaluation.stats['AP']
    if score < 0:
        lines.append(
            'AP is -1: there is nothing to find, since all annotations are crowds or there are none'
        )
    if 0 <= score < HIGH_AP and results:
        lines += _known_mistakes(content, results, score)
    return lines


def _videos_without_entries(content: dict, results: Sequence[dict], origin: str) -> list[str]:
    """Returns a line on the videos that have instances but no entry; no line if there are none."""
    with_instances = {
        entry['video_id'] for entry in content['annotations'] if not entry.get('iscrowd')
    }
    without = with_instances - {entry['video_id'] for entry in results}
    if not without:
        return []
    return [
        f'{origin}: {len(without)} of {len(with_instances)} videos with instances have no entry '
        f'(first: video {min(without)}): what is in them counts as missed'
    ]


def _known_mistakes(content: dict, results: Sequence[dict], score: float) -> list[str]:
    """Returns a line for each mistake that the submission seems to have."""
    ground_truth = parse_ground_truth(content)
    lines = []
    for offset in (1, -1):
        shifted = [{**entry, 'category_id': entry['category_id'] + offset} for entry in results]
        new_ap = evaluate(ground_truth, shifted).stats['AP']
        if new_ap > score + MIN_GAIN:
            lines.append(
                f'category ids seem to be off by one: with {offset:+d} AP would be {new_ap:.3f}, '
                f'not {score:.3f}'
            )
    if not lines:
        new_ap = _score_without_categories(content, results)
        if new_ap > score + MIN_GAIN:
            lines.append(
                f'categories seem to be others: with all of them as one AP would be {new_ap:.3f}, '
                f'not {score:.3f}: compare the names and ids of the two files'
            )
    if _has_swapped_sizes(content, results):
        lines.append(
            'masks seem to have [width, height] as their size: it is [height, width], and a frame '
            'of another size counts nothing'
        )
    return lines


def _score_without_categories(content: dict, results: Sequence[dict]) -> float:
    """Returns the AP with all categories merged into one."""
    merged_content = {
        **content,
        'categories': [{'id': 1, 'name': 'object'}],
        'annotations': [{**entry, 'category_id': 1} for entry in content['annotations']],
    }
    merged_results = [{**entry, 'category_id': 1} for entry in results]
    return float(evaluate(parse_ground_truth(merged_content), merged_results).stats['AP'])


def _has_swapped_sizes(content: Mapping[str, Any], results: Sequence[dict]) -> bool:
    """Whether most masks have [width, height] of their video as their size."""
    sizes = {
        video.id: [video.height, video.width] for video in parse_videos(dict(content), 'truth')
    }
    pairs = [
        (list(mask['size']), sizes[entry['video_id']])
        for entry in results
        for mask in entry['segmentations']
        if mask is not None
    ]
    num_swapped = sum(size != expected and size[::-1] == expected for size, expected in pairs)
    return num_swapped > len(pairs) / 2
