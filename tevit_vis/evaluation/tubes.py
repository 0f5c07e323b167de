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
from tevit_vis.mask_checks import check_size, rle_faults
from tevit_vis.rle import mask_areas, overlap_fractions
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import is_number, is_whole_number, shorten

TUBES_AT_ONCE = 256  # tubes whose masks one call of mask_areas gets
OCCLUSION = {'no_occlusion': 0.0, 'slight_occlusion': 0.25, 'severe_occlusion': 0.75}


@dataclass
class MaskTube:
    """The masks of one ground truth instance or one prediction.

    Args:
        masks: T masks, None where there is none.
        areas: [T] pixels, 0 where there is no mask.
        mean_area: mean over the frames with a mask; it decides between small, medium and large.
        score: of a prediction.
        crowd: of a ground truth.
        occlusion: of a ground truth, 0 to 1; None where the file does not say.
    """

    masks: list[RLE | None]
    areas: np.ndarray
    mean_area: float
    score: float = 0.0
    crowd: bool = False
    occlusion: float | None = None


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


def parse_results(
    results: Sequence[dict], lengths: dict[int, int], origin: str
) -> dict[tuple[int, int], list[MaskTube]]:
    """Checks the entries of a submission and returns {(video id, category id): predicted tubes}.

    Args:
        results: entries of a submission.
        lengths: {video id: number of frames}.
        origin: names the submission in errors.

    Raises:
        InputError: an entry cannot be scored, or most entries are of other videos.
    """
    mismatch = other_data_set_message(results, lengths)
    if mismatch:
        raise InputError(f'{origin}: {mismatch}')
    all_masks = [
        check_prediction(entry, lengths, f'{origin}: [{index}]')
        for index, entry in enumerate(results)
    ]
    pred_tubes = defaultdict(list)
    for entry, masks, areas in zip(results, all_masks, track_areas(all_masks)):
        nonzero_areas = areas[areas > 0]
        mean_area = float(nonzero_areas.mean()) if nonzero_areas.size else 0.0
        tube = MaskTube(masks, areas, mean_area, entry['score'])
        pred_tubes[entry['video_id'], entry['category_id']].append(tube)
    return pred_tubes


def other_data_set_message(results: Sequence[dict], lengths: Mapping[int, int]) -> str:
    """Returns a message if most entries of a submission fit no video, otherwise an empty text.

    Args:
        results: entries of a submission.
        lengths: {video id: number of frames}.

    Example:
        >>> entries = [{'video_id': 1, 'segmentations': [None] * 20}] * 3
        >>> other_data_set_message(entries, {1: 12}).partition(':')[0]
        'must be the results of this data set, but most likely are those of another'
    """
    num_fitting = 0
    for entry in results:
        if isinstance(entry, dict) and is_whole_number(entry.get('video_id')):
            masks = entry.get('segmentations')
            length = lengths.get(entry['video_id'])
            num_fitting += isinstance(masks, list) and len(masks) == length
    if len(results) < 3 or 2 * num_fitting >= len(results):
        return ''
    return (
        'must be the results of this data set, but most likely are those of another: '
        f'{len(results) - num_fitting} of {len(results)} entries name videos that are not there or '
        'have another number of frames'
    )


def check_prediction(entry: dict, lengths: dict[int, int], where: str) -> list[RLE | None]:
    """Checks an entry of a submission and returns its masks.

    Raises:
        InputError: the entry cannot be scored.

    Example:
        >>> entry = dict(video_id=1, category_id=2, score=0.5, segmentations=[None, None])
        >>> check_prediction(entry, {1: 2}, 'r.json: [0]')
        [None, None]
    """
    if not isinstance(entry, dict):
        raise InputError(f'{where}: entry must be an object, but got {shorten(entry)}')
    score = entry.get('score')
    if not is_number(score):
        raise InputError(f'{where}: "score" must be a number, but got {shorten(score)}')
    masks = _masks_of(entry, lengths, where)
    mask_frames, pixels = [], []
    for t, mask in enumerate(masks):
        if mask is None:
            continue
        try:
            pixels.append(_num_pixels(mask))
        except ValueError as error:
            raise InputError(f'{where}: segmentations[{t}] {error}') from None
        mask_frames.append(t)
    for t, fault in zip(mask_frames, rle_faults([masks[t]['counts'] for t in mask_frames], pixels)):
        if fault:
            raise InputError(f'{where}: segmentations[{t}] must be a whole RLE, but: {fault}')
    return masks


def _masks_of(entry: dict, lengths: dict[int, int], where: str) -> list:
    video_id = entry.get('video_id')
    if not is_whole_number(video_id) or video_id not in lengths:
        got = shorten(video_id)
        raise InputError(f'{where}: "video_id" must be a video of the file, but got {got}')
    if not is_whole_number(entry.get('category_id')):
        got = shorten(entry.get('category_id'))
        raise InputError(f'{where}: "category_id" must be a whole number, but got {got}')
    masks = entry.get('segmentations')
    if not isinstance(masks, list) or len(masks) != lengths[video_id]:
        got = str(len(masks)) if isinstance(masks, list) else shorten(masks)
        raise InputError(
            f'{where}: "segmentations" must have one mask or null for each of the '
            f'{lengths[video_id]} frames, but got {got}'
        )
    return masks


def _num_pixels(mask: object) -> int:
    """Returns the number of pixels H * W of a compressed RLE.

    Raises:
        ValueError: the mask is something else.
    """
    if not isinstance(mask, dict) or not isinstance(mask.get('counts'), str):
        raise ValueError(
            'must be null or a compressed RLE with text "counts", as the server wants it, '
            f'but got {shorten(mask)}'
        )
    try:
        height, width = check_size(mask.get('size'))
    except ValueError as error:
        raise ValueError(f'must have a size, but: {error}') from None
    return height * width


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
    if not pred_tubes or not gt_tubes:
        return np.zeros((len(pred_tubes), len(gt_tubes)))
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
    frame_unions = pred_areas[:, :, None] + gt_areas[:, None] - intersections
    frame_unions[shares < 0] = 0  # the masks differ in size
    unions = frame_unions.sum(0)
    return np.divide(intersections.sum(0), unions, out=np.zeros_like(unions), where=unions > 0)
