"""What is in a data set: counts, sizes, lengths, what comes together, as a page with samples."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from tevit_vis.annotated_videos import Video
from tevit_vis.evaluation.slices import ORDER, PROPERTIES, ground_truth_groups
from tevit_vis.evaluation.tubes import GroundTruth, instances_of
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import unfinished_folder
from tevit_vis.utils.json_files import write_json

from .pages import FOLDER, environment
from .pictures import write_strip
from .runs import DataSet

MOST_CLASSES = 25  # in the table of classes that come together


def count_groups(ground_truth: GroundTruth) -> dict[str, dict[str, int]]:
    """Returns {property: {group: objects}}, as slices of scores group them; without crowds.

    Args:
        ground_truth: of ``parse_ground_truth``.
    """
    groups = list(ground_truth_groups(ground_truth).values())
    counts: dict[str, dict[str, int]] = {}
    for name in PROPERTIES:
        found = Counter(own[name] for own in groups)
        order = ORDER.get(name) or tuple(group for group, _ in found.most_common())
        counts[name] = {group: found[group] for group in order if group in found}
    return counts


def count_together(ground_truth: GroundTruth) -> dict[tuple[int, int], int]:
    """Returns {(category, category): videos that have both}; of one category, those that have it.

    Args:
        ground_truth: of ``parse_ground_truth``; crowds do not count.
    """
    present: dict[int, set[int]] = {}
    for (video, category), tubes in ground_truth.tubes.items():
        if any(not tube.crowd for tube in tubes):
            present.setdefault(video, set()).add(category)
    return dict(Counter((a, b) for own in present.values() for a in own for b in own))


def write_statistics(
    data_set: DataSet,
    folder: str,
    frames_root: str | None,
    num_samples: int,
    on_video: Callable[[], object] = lambda: None,
) -> None:
    """Writes ``index.html`` and ``statistics.json`` into a folder; it appears when it is complete.

    Args:
        data_set: with annotations.
        folder: to write; new or empty, or earlier statistics.
        frames_root: folder of the frames; None for a page without samples.
        num_samples: videos of which frames are shown, spread over the data set.
        on_video: called after each sample.

    Raises:
        InputError: there are no annotations, the folder holds something else, or cannot be written.
    """
    truth = data_set.ground_truth
    if truth is None:
        raise InputError(f'{data_set.name}: must have annotations to be counted, but has none')
    names = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    if names - {'index.html', 'statistics.json', 'strips'}:
        raise InputError(
            f'{folder}: must be a new or empty folder, or one with statistics, but holds '
            'something else: choose another'
        )
    groups, together = count_groups(truth), count_together(truth)
    with unfinished_folder(folder) as unfinished:
        samples = []
        if frames_root is not None:
            step = max(1, len(data_set.videos) // max(1, num_samples))
            for video in data_set.videos[::step][:num_samples]:
                if _write_sample(video, truth, data_set, frames_root, unfinished):
                    samples.append(video)
                on_video()
        numbers = _numbers(data_set, truth, groups, together)
        write_json(numbers, os.path.join(unfinished, 'statistics.json'))
        page = environment().get_template('statistics.html')
        with open(os.path.join(unfinished, 'index.html'), 'w', encoding='utf-8') as file:
            file.write(
                page.render(
                    data_set=data_set,
                    numbers=numbers,
                    groups=groups,
                    properties=PROPERTIES,
                    together=_together_table(data_set, together),
                    samples=samples,
                    style=(FOLDER / 'assets' / 'style.css').read_text(encoding='utf-8'),
                )
            )


def _write_sample(
    video: Video, truth: GroundTruth, data_set: DataSet, root: str, folder: str
) -> bool:
    """Writes frames of a video with its objects drawn; returns whether any could be read."""
    labels = {category: label for label, category in enumerate(truth.categories)}
    tubes = {label: truth.tubes.get((video.id, key), ()) for key, label in labels.items()}
    instances = instances_of(tubes, (video.height, video.width), video.num_frames)
    return write_strip(video, root, folder, instances, tuple(truth.categories.values()))


def _numbers(
    data_set: DataSet,
    truth: GroundTruth,
    groups: dict[str, dict[str, int]],
    together: dict[tuple[int, int], int],
) -> dict[str, Any]:
    """Returns all numbers as the content of a JSON file."""
    tubes = [tube for own in truth.tubes.values() for tube in own]
    lengths = sorted(truth.lengths.values())
    return {
        'videos': len(lengths),
        'frames': sum(lengths),
        'shortest_video': lengths[0],
        'longest_video': lengths[-1],
        'objects': sum(not tube.crowd for tube in tubes),
        'crowds': sum(tube.crowd for tube in tubes),
        'masks': sum(int((tube.areas > 0).sum()) for tube in tubes),
        'videos_without_objects': len(lengths) - len({video for video, _ in truth.tubes}),
        'groups': groups,
        'together': [
            {
                'first': data_set.category_name(a),
                'second': data_set.category_name(b),
                'videos': number,
            }
            for (a, b), number in sorted(together.items())
            if a < b
        ],
    }


def _together_table(
    data_set: DataSet, together: dict[tuple[int, int], int]
) -> tuple[list[str], list[list[int]]]:
    """Returns the names and counts of the classes that most videos have."""
    most = sorted((key for key, other in together if key == other), key=lambda k: -together[k, k])
    chosen = most[:MOST_CLASSES]
    cells = [[together.get((a, b), 0) for b in chosen] for a in chosen]
    return [data_set.category_name(key) for key in chosen], cells
