"""Scores of parts of the ground truth: by class, size, length, visibility, speed, occlusion, crowd.

Letters: S groups of one property, D predictions and G ground truths of one video and category.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tevit_vis.rle import mask_boxes

from .scores import AREA_RANGES, IOU_THRESHOLDS, MAX_PREDICTIONS, OCCLUSION_GROUPS
from .tube_errors import TubeErrors
from .tubes import GroundTruth, MaskTube
from .ytvis_eval import MatchedVideo, accumulate, match_groups

LENGTHS = {'up to 16 frames': 16, '17 to 32 frames': 32, 'more than 32 frames': np.inf}
CROWDS = {'alone or 2': 2, '3 to 5': 5, '6 or more': np.inf}
# Least mean IoU of a box with that of the next frame.
SPEEDS = {'slow': 0.9, 'medium': 0.7, 'fast': -1.0}
SIZE_NAMES = {'s': 'small', 'm': 'medium', 'l': 'large'}
VISIBILITY = ('all frames', 'half or more of the frames', 'less than half of the frames')
HIDDEN = ('never out of sight', 'out of sight for up to a quarter', 'out of sight for longer')
SEEN_ONCE = 'seen once'
OCCLUSION_NAMES = {name: name.partition('_')[0] for name in OCCLUSION_GROUPS}
# The groups of a property in the order in which they are shown; classes come by name.
ORDER: dict[str, tuple[str, ...]] = {
    'size': tuple(SIZE_NAMES.values()),
    'video length': tuple(LENGTHS),
    'track length': tuple(LENGTHS),
    'visibility': VISIBILITY,
    'speed': (*SPEEDS, SEEN_ONCE),
    'occlusion': (*HIDDEN, *OCCLUSION_NAMES.values()),
    'crowd': tuple(CROWDS),
}
PROPERTIES = {
    'class': 'the category',
    'size': 'mean pixels of its masks, as of the metric (up to 128x128, up to 256x256, larger)',
    'video length': 'frames of the video',
    'track length': 'frames in which it is seen',
    'visibility': 'share of the frames of the video in which it is seen',
    'speed': 'mean IoU of its box with that of the next frame: above 0.9, 0.7 to 0.9, below 0.7',
    'occlusion': "OVIS's level where the file has it; else the share of the frames between first "
    'and last sight in which it is out of sight',
    'crowd': 'objects in the video',
}


@dataclass(frozen=True)
class SliceScores:
    """The scores of one group of ground truths.

    Args:
        count: ground truths of the group that are no crowd.
        ap, ap50: average precision as of the metric, all other ground truths ignored; -1 without
            ground truth.
        outcomes: share of the group by what became of it: ``'Right'`` or a key of ``ERRORS``.
        switches: identity switches per object, see ``count_switches``.
    """

    count: int
    ap: float
    ap50: float
    outcomes: dict[str, float]
    switches: float


def properties_of(
    tube: MaskTube, num_frames: int, num_objects: int, category: str
) -> dict[str, str]:
    """Returns the group of one ground truth in each of ``PROPERTIES``.

    Args:
        tube: of the ground truth.
        num_frames: of its video.
        num_objects: ground truths of its video.
        category: name of its class.
    """
    seen = np.flatnonzero(tube.areas)
    share = len(seen) / num_frames
    return {
        'class': category,
        'size': _size_of(tube),
        'video length': _first_with_at_least(LENGTHS, num_frames),
        'track length': _first_with_at_least(LENGTHS, len(seen)),
        'visibility': VISIBILITY[0 if share == 1 else 1 if share >= 0.5 else 2],
        'speed': speed_of(tube),
        'occlusion': _occlusion_of(tube, seen),
        'crowd': _first_with_at_least(CROWDS, num_objects),
    }


def _first_with_at_least(groups: Mapping[str, float], value: float) -> str:
    return next(name for name, most in groups.items() if value <= most)


def _size_of(tube: MaskTube) -> str:
    names = (name for name in SIZE_NAMES if tube.mean_area <= AREA_RANGES[name][1])
    return SIZE_NAMES[next(names)]


def _occlusion_of(tube: MaskTube, seen: np.ndarray) -> str:
    if tube.occlusion is not None:
        return next(
            OCCLUSION_NAMES[name]
            for name, (low, high) in OCCLUSION_GROUPS.items()
            if low <= tube.occlusion <= high
        )
    hidden = 1 - len(seen) / (seen[-1] - seen[0] + 1) if len(seen) else 0
    return HIDDEN[0 if not hidden else 1 if hidden <= 0.25 else 2]


def speed_of(tube: MaskTube) -> str:
    """Returns the speed of a ground truth: a key of ``SPEEDS``, or ``SEEN_ONCE``."""
    boxes = mask_boxes(tube.masks)
    ious = [
        _box_iou(before, after)
        for t, (before, after) in enumerate(zip(boxes, boxes[1:]))
        if tube.areas[t] and tube.areas[t + 1]
    ]
    if not ious:
        return SEEN_ONCE
    mean = np.mean(ious)
    if mean > SPEEDS['slow']:
        return 'slow'
    return 'medium' if mean >= SPEEDS['medium'] else 'fast'


def _box_iou(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the IoU of two boxes x y width height."""
    ends = np.minimum(first[:2] + first[2:], second[:2] + second[2:])
    both = np.prod(np.clip(ends - np.maximum(first[:2], second[:2]), 0, None))
    either = np.prod(first[2:]) + np.prod(second[2:]) - both
    return float(both / either) if either > 0 else 0.0


def score_slices(
    ground_truth: GroundTruth,
    predictions: Mapping[tuple[int, int], Sequence[MaskTube]],
    ious: Mapping[tuple[int, int], np.ndarray],
    errors: TubeErrors,
    switches: Mapping[int, int],
) -> dict[str, dict[str, SliceScores]]:
    """Scores each group of each property.

    Args:
        ground_truth: of ``parse_ground_truth``.
        predictions: of ``parse_results``.
        ious: of the ``Evaluation``.
        errors: of ``find_errors``.
        switches: {index of a ground truth in its file: identity switches}.

    Returns:
        {property: {group: scores}}, the groups in the order of their sizes or names.
    """
    groups_of = ground_truth_groups(ground_truth)
    outcome_of = {gt.entry: gt.kind for gt in errors.ground_truths}
    return {
        name: _score_property(
            name,
            {entry: groups[name] for entry, groups in groups_of.items()},
            *(ground_truth, predictions, ious, outcome_of, switches),
        )
        for name in PROPERTIES
    }


def ground_truth_groups(ground_truth: GroundTruth) -> dict[int, dict[str, str]]:
    """Returns {index of a ground truth in its file: {property: group}}, without crowds."""
    objects = Counter(
        video
        for (video, _), tubes in ground_truth.tubes.items()
        for tube in tubes
        if not tube.crowd
    )
    return {
        tube.entry: properties_of(
            tube, ground_truth.lengths[video], objects[video], ground_truth.categories[category]
        )
        for (video, category), tubes in ground_truth.tubes.items()
        for tube in tubes
        if not tube.crowd
    }


def _score_property(
    name: str,
    group_of: Mapping[int, str],
    ground_truth: GroundTruth,
    predictions: Mapping[tuple[int, int], Sequence[MaskTube]],
    ious: Mapping[tuple[int, int], np.ndarray],
    outcome_of: Mapping[int, str],
    switches: Mapping[int, int],
) -> dict[str, SliceScores]:
    """Scores the groups of one property."""
    present = set(group_of.values())
    groups = [group for group in ORDER.get(name, sorted(present)) if group in present]
    matched: dict[int, list[MatchedVideo]] = {key: [] for key in ground_truth.categories}
    for (video, category), pair_ious in ious.items():
        gts = ground_truth.tubes.get((video, category), ())
        preds = sorted(predictions.get((video, category), ()), key=lambda tube: -tube.score)
        scores = np.array([tube.score for tube in preds[: MAX_PREDICTIONS[-1]]], float)
        own = [group_of.get(tube.entry) for tube in gts]
        is_outside = np.array([[other != group for other in own] for group in groups], bool)
        is_outside = is_outside.reshape(len(groups), len(gts))
        everywhere = np.zeros((len(groups), len(scores)), bool)
        is_crowd = np.array([tube.crowd for tube in gts], bool)
        matched[category].append(match_groups(scores, pair_ious, is_crowd, is_outside, everywhere))
    result = {}
    for s, group in enumerate(groups):
        curves = [
            curve[0].mean(1)  # [T] AP at each threshold
            for videos in matched.values()
            if (curve := accumulate([video.best(s, MAX_PREDICTIONS[-1]) for video in videos]))
        ]
        precision = np.mean(curves, 0) if curves else np.full(len(IOU_THRESHOLDS), -1.0)
        entries = [entry for entry, own_group in group_of.items() if own_group == group]
        kinds = Counter(outcome_of[entry] for entry in entries)
        result[group] = SliceScores(
            count=len(entries),
            ap=float(precision.mean()),
            ap50=float(precision[0]),
            outcomes={kind: count / len(entries) for kind, count in kinds.items()},
            switches=sum(switches.get(entry, 0) for entry in entries) / len(entries),
        )
    return result
