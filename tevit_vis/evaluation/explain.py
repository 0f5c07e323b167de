"""Why a score is what it is: what of a submission does not count, and mistakes that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tevit_vis.annotated_videos import parse_videos

from .submission import submission_faults
from .tubes import parse_ground_truth
from .ytvis_eval import Evaluation, evaluate

MUCH_BETTER = 0.1  # AP that a known mistake must cost to be named
GOOD_ENOUGH = 0.75  # AP from which on no mistake is looked for
MOST_FAULTS = 3  # that are shown


def explain_score(
    content: dict, results: Sequence[dict], evaluation: Evaluation, origin: str
) -> list[str]:
    """Returns what keeps a submission from counting, and the mistakes that explain a low score.

    A mistake is named where the score without it is better by ``MUCH_BETTER``: category ids off by
    one, categories that are others, masks whose height and width are swapped.

    Args:
        content: of the annotation file.
        results: entries of the submission, which can be scored.
        evaluation: their scores.
        origin: names the submission.
    """
    faults = submission_faults(results, content, origin)
    lines = faults[:MOST_FAULTS]
    if len(faults) > MOST_FAULTS:
        lines.append(f'{origin}: and {len(faults) - MOST_FAULTS} more faults (submission.py check)')
    lines += _missing(content, results, origin)
    score = evaluation.stats['AP']
    if score < 0:
        lines.append(
            'AP is -1: there is nothing to find, since all annotations are crowds or there are none'
        )
    if 0 <= score < GOOD_ENOUGH and results:
        lines += _known_mistakes(content, results, score)
    return lines


def _missing(content: dict, results: Sequence[dict], origin: str) -> list[str]:
    """Videos with instances and without entries."""
    wanted = {entry['video_id'] for entry in content['annotations'] if not entry.get('iscrowd')}
    without = wanted - {entry['video_id'] for entry in results}
    if not without:
        return []
    return [
        f'{origin}: {len(without)} of {len(wanted)} videos with instances have no entry '
        f'(first: video {min(without)}): what is in them counts as missed'
    ]


def _known_mistakes(content: dict, results: Sequence[dict], score: float) -> list[str]:
    """Mistakes without which the submission would score much better."""
    truth = parse_ground_truth(content)
    lines = []
    for change in (1, -1):
        moved = [{**entry, 'category_id': entry['category_id'] + change} for entry in results]
        better = evaluate(truth, moved).stats['AP']
        if better > score + MUCH_BETTER:
            lines.append(
                f'category ids seem to be off by one: with {change:+d} AP would be {better:.3f}, '
                f'not {score:.3f}'
            )
    if not lines:
        better = _score_without_categories(content, results)
        if better > score + MUCH_BETTER:
            lines.append(
                f'categories seem to be others: with all of them as one AP would be {better:.3f}, '
                f'not {score:.3f}: compare the names and ids of the two files'
            )
    if _has_swapped_sizes(content, results):
        lines.append(
            'masks seem to have [width, height] as their size: it is [height, width], and a frame '
            'of another size counts nothing'
        )
    return lines


def _score_without_categories(content: dict, results: Sequence[dict]) -> float:
    one = {
        **content,
        'categories': [{'id': 1, 'name': 'object'}],
        'annotations': [{**entry, 'category_id': 1} for entry in content['annotations']],
    }
    merged = [{**entry, 'category_id': 1} for entry in results]
    return float(evaluate(parse_ground_truth(one), merged).stats['AP'])


def _has_swapped_sizes(content: Mapping[str, Any], results: Sequence[dict]) -> bool:
    """Whether most masks have the size of their video the wrong way round."""
    sizes = {
        video.id: [video.height, video.width] for video in parse_videos(dict(content), 'truth')
    }
    pairs = [
        (list(mask['size']), sizes[entry['video_id']])
        for entry in results
        for mask in entry['segmentations']
        if mask is not None
    ]
    swapped = sum(size != right and size[::-1] == right for size, right in pairs)
    return swapped > len(pairs) / 2
