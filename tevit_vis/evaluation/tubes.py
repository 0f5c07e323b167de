"""Tubes: one mask or None per frame; those of an annotation file and of a submission.

Letters: D predictions and G ground truths of one video and category.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tevit_vis.annotated_videos import file_categories, parse_videos
from tevit_vis.annotations import annotation_entries, check_annotation, frame_masks, frame_values
from tevit_vis.mask_checks import check_size, rle_faults
from tevit_vis.rle import mask_areas, overlap_shares
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import is_number, is_whole, shorten

TUBES_AT_ONCE = 256  # whose masks go to pycocotools together
OCCLUSION = {'no_occlusion': 0.0, 'slight_occlusion': 0.25, 'severe_occlusion': 0.75}


@dataclass
class Tube:
    """The masks of one instance or prediction.

    Args:
        masks: T masks, None where there is none.
        areas: [T] pixels, 0 where there is no mask.
        mean_area: that decides on small, medium or large.
        score: of a prediction.
        crowd: of a ground truth.
        occlusion: of a ground truth, 0 to 1; None where the file does not tell.
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
        lengths: {video id: frames}.
        categories: {id: name}, by id.
        tubes: {(video id, category id): ground truths}.
    """

    lengths: dict[int, int]
    categories: dict[int, str]
    tubes: dict[tuple[int, int], list[Tube]]

    @property
    def tells_occlusion(self) -> bool:
        """Whether the file has OVIS's occlusion levels."""
        return any(tube.occlusion is not None for tubes in self.tubes.values() for tube in tubes)


def parse_ground_truth(content: dict, origin: str = 'ground truth') -> GroundTruth:
    """The content of an annotation file, checked.

    Args:
        content: of a file in YouTube-VIS layout.
        origin: names the file in errors.

    Raises:
        InputError: no annotations or categories, or an entry that cannot be scored against.
    """
    videos = {video.id: video for video in parse_videos(content, origin)}
    names = file_categories(content, origin)
    entries = annotation_entries(content, origin)
    for key, found in (('annotations', entries), ('categories', names)):
        if not found:
            raise InputError(f'{origin}: {key!r} must not be empty to score against, but is')
    seen: set = set()
    tracks, own_areas = [], []
    for index, entry in enumerate(entries):
        where = f'{origin}: annotations[{index}]'
        check_annotation(entry, where, videos, names, seen)
        video = videos[entry['video_id']]
        tracks.append(frame_masks(entry, video, where))
        own_areas.append(frame_values(entry, 'areas', 1, video, where))
    tubes = defaultdict(list)
    for index, (masks, areas) in enumerate(zip(tracks, track_areas(tracks))):
        entry, given = entries[index], own_areas[index]
        counted = [area for area in (areas if given is None else given) if area]
        tube = Tube(
            masks,
            areas,
            mean_area=float(np.mean(counted)) if counted else 0.0,
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
    """OVIS: mean of the higher half of the frames' levels, 0 to 1; None without any level."""
    values = sorted((OCCLUSION[level] for level in levels if level is not None), reverse=True)
    return float(np.mean(values[: math.ceil(len(values) / 2)])) if values else None


def parse_results(
    results: Sequence[dict], lengths: dict[int, int], origin: str
) -> dict[tuple[int, int], list[Tube]]:
    """The entries of a submission as {(video id, category id): predictions}, checked.

    Args:
        results: entries of a submission.
        lengths: {video id: frames}.
        origin: names the submission in errors.

    Raises:
        InputError: an entry that cannot be scored, or most of them are of other videos.
    """
    other = another_data_set(results, lengths)
    if other:
        raise InputError(f'{origin}: {other}')
    tracks = [
        check_prediction(entry, lengths, f'{origin}: [{index}]')
        for index, entry in enumerate(results)
    ]
    places = defaultdict(list)
    for entry, masks, areas in zip(results, tracks, track_areas(tracks)):
        present = areas[areas > 0]
        mean_area = float(present.mean()) if present.size else 0.0
        tube = Tube(masks, areas, mean_area, entry['score'])
        places[entry['video_id'], entry['category_id']].append(tube)
    return places


def another_data_set(results: Sequence[dict], lengths: Mapping[int, int]) -> str:
    """Returns words for a submission most of whose entries fit no video; else an empty text.

    Args:
        results: entries of a submission.
        lengths: {video id: frames}.

    Example:
        >>> entries = [{'video_id': 1, 'segmentations': [None] * 20}] * 3
        >>> another_data_set(entries, {1: 12}).partition(':')[0]
        'must be the results of this data set, but most likely are those of another'
    """
    fitting = 0
    for entry in results:
        if isinstance(entry, dict) and is_whole(entry.get('video_id')):
            masks = entry.get('segmentations')
            length = lengths.get(entry['video_id'])
            fitting += isinstance(masks, list) and len(masks) == length
    if len(results) < 3 or 2 * fitting >= len(results):
        return ''
    return (
        'must be the results of this data set, but most likely are those of another: '
        f'{len(results) - fitting} of {len(results)} entries name videos that are not there or '
        'have another number of frames'
    )


def check_prediction(entry: dict, lengths: dict[int, int], where: str) -> list[RLE | None]:
    """The masks of an entry of a submission.

    Raises:
        InputError: it cannot be scored.
    """
    if not isinstance(entry, dict):
        raise InputError(f'{where}: entry must be an object, but got {shorten(entry)}')
    score = entry.get('score')
    if not is_number(score):
        raise InputError(f'{where}: "score" must be a number, but got {shorten(score)}')
    masks = _masks_of(entry, lengths, where)
    present, pixels = [], []
    for t, mask in enumerate(masks):
        if mask is None:
            continue
        try:
            pixels.append(_compressed_pixels(mask))
        except ValueError as error:
            raise InputError(f'{where}: segmentations[{t}] {error}') from None
        present.append(t)
    for t, fault in zip(present, rle_faults([masks[t]['counts'] for t in present], pixels)):
        if fault:
            raise InputError(f'{where}: segmentations[{t}] must be a whole RLE, but: {fault}')
    return masks


def _masks_of(entry: dict, lengths: dict[int, int], where: str) -> list:
    video = entry.get('video_id')
    if not is_whole(video) or video not in lengths:
        found = shorten(video)
        raise InputError(f'{where}: "video_id" must be a video of the file, but got {found}')
    if not is_whole(entry.get('category_id')):
        found = shorten(entry.get('category_id'))
        raise InputError(f'{where}: "category_id" must be a whole number, but got {found}')
    masks = entry.get('segmentations')
    if not isinstance(masks, list) or len(masks) != lengths[video]:
        found = str(len(masks)) if isinstance(masks, list) else shorten(masks)
        raise InputError(
            f'{where}: "segmentations" must have one mask or null for each of the '
            f'{lengths[video]} frames, but got {found}'
        )
    return masks


def _compressed_pixels(mask: object) -> int:
    """Pixels of the frame of a compressed RLE.

    Raises:
        ValueError: it is something else.
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
    """Pixels of each mask of many tracks, [T] each; 0 where there is none."""
    areas: list[np.ndarray] = []
    for start in range(0, len(tracks), TUBES_AT_ONCE):
        part = tracks[start : start + TUBES_AT_ONCE]
        ends = np.cumsum([len(track) for track in part])[:-1]
        areas += np.split(mask_areas([mask for track in part for mask in track]), ends)
    return areas


def tube_ious(predictions: Sequence[Tube], truths: Sequence[Tube]) -> np.ndarray:
    """IoU of tubes [D, G]: intersections over unions, both summed over the frames.

    A frame in which two masks differ in size counts nothing.
    """
    if not predictions or not truths:
        return np.zeros((len(predictions), len(truths)))
    mine = np.stack([tube.areas for tube in predictions], axis=1).astype(float)  # [T, D]
    theirs = np.stack([tube.areas for tube in truths], axis=1).astype(float)  # [T, G]
    shares = np.zeros((len(mine), len(predictions), len(truths)))  # of each prediction's mask
    for t in (mine.any(1) & theirs.any(1)).nonzero()[0].tolist():
        rows, columns = mine[t].nonzero()[0], theirs[t].nonzero()[0]
        shares[t][rows[:, None], columns] = overlap_shares(
            [predictions[d].masks[t] for d in rows.tolist()],
            [truths[g].masks[t] for g in columns.tolist()],
        )
    common = np.rint(np.maximum(shares, 0) * mine[:, :, None])
    either = mine[:, :, None] + theirs[:, None] - common
    either[shares < 0] = 0  # sizes differ
    unions = either.sum(0)
    return np.divide(common.sum(0), unions, out=np.zeros_like(unions), where=unions > 0)
