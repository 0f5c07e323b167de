"""Reads the tubes of an annotation file and of a submission, and compares them.

A tube is one mask or None for each frame of a video.

Letters: D predictions and G ground truths of one video and category.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tevit_vis.annotated_videos import file_categories, parse_videos
from tevit_vis.annotations import (
    annotation_entries,
    check_annotation,
    parse_frame_values,
    parse_segmentations,
)
from tevit_vis.rle import mask_areas, mask_boxes, overlap_fractions
from tevit_vis.structures import RLE, VideoInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import shorten

TUBES_AT_ONCE = 256  # tubes whose masks one call of mask_areas gets
OCCLUSION = {'no_occlusion': 0.0, 'slight_occlusion': 0.25, 'severe_occlusion': 0.75}


@dataclass
class MaskTube:
    """The masks of one ground truth instance or one prediction.

    Args:
        masks: T masks, None where there is none.
        areas: [T] pixels, 0 where there is no mask.
        mean_area: mean over the frames with a mask; it decides between small, medium and large.
        score: of a prediction; 1 of a ground truth.
        entry: index of the annotation or prediction in its file.
        crowd: of a ground truth.
        occlusion: of a ground truth, 0 to 1; None where the file does not say.
    """

    masks: list[RLE | None]
    areas: np.ndarray
    mean_area: float
    score: float = 1.0
    crowd: bool = False
    occlusion: float | None = None
    entry: int = -1


@dataclass(frozen=True)
class GroundTruth:
    """What a submission is scored against.

    Args:
        lengths: {video id: number of frames}.
        categories: {id: name}, sorted by id.
        tubes: {(video id, category id): ground truth tubes}.
    """

    lengths: dict[int, int]
    categories: dict[int, str]
    tubes: dict[tuple[int, int], list[MaskTube]]

    @property
    def has_occlusion(self) -> bool:
        """Whether the file has OVIS's occlusion levels."""
        return any(tube.occlusion is not None for tubes in self.tubes.values() for tube in tubes)


def parse_ground_truth(content: dict, origin: str = 'ground truth') -> GroundTruth:
    """Checks the content of an annotation file and returns its ground truth.

    Args:
        content: of a file in YouTube-VIS layout.
        origin: names the file in errors.

    Raises:
        InputError: the file has no annotations or no categories, or an entry breaks a rule.
    """
    videos = {video.id: video for video in parse_videos(content, origin)}
    names = file_categories(content, origin)
    entries = annotation_entries(content, origin)
    for key, entries_of_key in (('annotations', entries), ('categories', names)):
        if not entries_of_key:
            raise InputError(f'{origin}: {key!r} must not be empty to score against, but is')
    used_ids: set = set()
    all_masks, file_areas = [], []
    for index, entry in enumerate(entries):
        where = f'{origin}: annotations[{index}]'
        check_annotation(entry, where, videos, names, used_ids)
        video = videos[entry['video_id']]
        all_masks.append(parse_segmentations(entry, video, where))
        file_areas.append(parse_frame_values(entry, 'areas', 1, video, where))
    tubes = defaultdict(list)
    for index, (masks, areas) in enumerate(zip(all_masks, track_areas(all_masks))):
        entry, areas_of_file = entries[index], file_areas[index]
        nonzero_areas = [
            area for area in (areas if areas_of_file is None else areas_of_file) if area
        ]
        tube = MaskTube(
            masks,
            areas,
            mean_area=float(np.mean(nonzero_areas)) if nonzero_areas else 0.0,
            crowd=bool(entry.get('iscrowd', 0)),
            occlusion=_occlusion_of(entry, f'{origin}: annotations[{index}]'),
            entry=index,
        )
        tubes[entry['video_id'], entry['category_id']].append(tube)
    lengths = {key: video.num_frames for key, video in videos.items()}
    return GroundTruth(lengths, {key: names[key] for key in sorted(names)}, tubes)


def _occlusion_of(entry: dict, where: str) -> float | None:
    levels = entry.get('occlusion') or []
    if not isinstance(levels, list):
        raise InputError(f'{where}: "occlusion" must be a list, but got {shorten(levels)}')
    for t, level in enumerate(levels):
        if level is not None and (not isinstance(level, str) or level not in OCCLUSION):
            raise InputError(
                f'{where}: occlusion[{t}] must be {", ".join(OCCLUSION)} or null, '
                f'but got {shorten(level)}'
            )
    return occlusion_score(levels)


def occlusion_score(levels: Sequence[str | None]) -> float | None:
    """Returns OVIS's occlusion score: the mean of the higher half of the frames' levels, 0 to 1.

    It is None without any level.

    Example:
        >>> occlusion_score(['no_occlusion', 'slight_occlusion', None, 'severe_occlusion'])
        0.5
    """
    values = sorted((OCCLUSION[level] for level in levels if level is not None), reverse=True)
    return float(np.mean(values[: math.ceil(len(values) / 2)])) if values else None


def track_areas(tracks: Sequence[list[RLE | None]]) -> list[np.ndarray]:
    """Returns the areas of the masks of many tracks, [T] pixels each; 0 where there is no mask.

    Example:
        >>> [areas.tolist() for areas in track_areas([[{'size': [3, 4], 'counts': '723'}, None]])]
        [[2, 0]]
    """
    areas: list[np.ndarray] = []
    for start in range(0, len(tracks), TUBES_AT_ONCE):
        some_tracks = tracks[start : start + TUBES_AT_ONCE]
        ends = np.cumsum([len(track) for track in some_tracks])[:-1]
        areas += np.split(mask_areas([mask for track in some_tracks for mask in track]), ends)
    return areas


def tube_ious(pred_tubes: Sequence[MaskTube], gt_tubes: Sequence[MaskTube]) -> np.ndarray:
    """Returns the IoU of tubes [D, G]: intersections over unions, both summed over the frames.

    A frame in which two masks differ in size is not counted.

    Example:
        >>> tube = MaskTube([{'size': [3, 4], 'counts': '723'}], np.array([2]), mean_area=2.0)
        >>> tube_ious([tube], [tube]).tolist()
        [[1.0]]
    """
    intersections, unions = frame_overlaps(pred_tubes, gt_tubes)
    return overlap_ratio(intersections.sum(0), unions.sum(0))


def frame_overlaps(
    pred_tubes: Sequence[MaskTube], gt_tubes: Sequence[MaskTube]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the intersections and unions of tubes in each frame, [T, D, G] pixels each.

    Both are 0 in a frame in which two masks differ in size; T is 0 where there are no tubes.
    """
    if not pred_tubes or not gt_tubes:
        return (np.zeros((0, len(pred_tubes), len(gt_tubes))),) * 2
    pred_areas = np.stack([tube.areas for tube in pred_tubes], axis=1).astype(float)  # [T, D]
    gt_areas = np.stack([tube.areas for tube in gt_tubes], axis=1).astype(float)  # [T, G]
    shares = np.zeros((len(pred_areas), len(pred_tubes), len(gt_tubes)))  # of each predicted mask
    for t in (pred_areas.any(1) & gt_areas.any(1)).nonzero()[0].tolist():
        pred_index, gt_index = pred_areas[t].nonzero()[0], gt_areas[t].nonzero()[0]
        shares[t][pred_index[:, None], gt_index] = overlap_fractions(
            [pred_tubes[d].masks[t] for d in pred_index.tolist()],
            [gt_tubes[g].masks[t] for g in gt_index.tolist()],
        )
    intersections = np.rint(np.maximum(shares, 0) * pred_areas[:, :, None])
    unions = pred_areas[:, :, None] + gt_areas[:, None] - intersections
    unions[shares < 0] = 0  # the masks differ in size
    return intersections, unions


def overlap_ratio(intersections: np.ndarray, unions: np.ndarray) -> np.ndarray:
    """Returns intersections over unions, 0 where the union is empty.

    Example:
        >>> overlap_ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0])).tolist()
        [0.25, 0.0]
    """
    return np.divide(intersections, unions, out=np.zeros_like(unions), where=unions > 0)


def instances_of(
    tubes: Mapping[int, Sequence[MaskTube]], size: tuple[int, int], num_frames: int
) -> VideoInstances:
    """Returns the tubes of a video as instances, in the order of their file.

    Args:
        tubes: by label.
        size: (H, W) of the frames.
        num_frames: of the video.
    """
    pairs = [(label, tube) for label, of_label in tubes.items() for tube in of_label]
    pairs.sort(key=lambda pair: pair[1].entry)
    boxes = np.array([mask_boxes(tube.masks) for _, tube in pairs], np.float32)
    boxes = boxes.reshape(len(pairs), num_frames, 4)
    boxes[..., 2:] += boxes[..., :2]  # x y width height -> x1 y1 x2 y2
    return VideoInstances(
        labels=np.array([label for label, _ in pairs], np.int64),
        scores=np.array([tube.score for _, tube in pairs], np.float32),
        boxes=boxes,
        segmentations=[tube.masks for _, tube in pairs],
        size=size,
    )
