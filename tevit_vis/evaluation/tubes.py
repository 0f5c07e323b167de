"""Tubes: one mask or None per frame; those of an annotation file and of a submission.

Letters: D predictions and G ground truths of one video and category.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tevit_vis.masks import mask_areas, mask_intersections, to_rle
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError


@dataclass
class Tube:
    """The masks of one instance or prediction."""

    masks: list[RLE | None]
    mean_area: float
    score: float = 0.0
    crowd: bool = False
    areas: np.ndarray = field(init=False)  # pixels per frame, 0 where there is no mask

    def __post_init__(self) -> None:
        self.areas = mask_areas(self.masks)


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


def parse_ground_truth(content: dict, origin: str = 'ground truth') -> GroundTruth:
    """The content of an annotation file, checked.

    Args:
        content: of a file in YouTube-VIS layout.
        origin: names the file in errors.

    Raises:
        InputError: no annotations or categories, or an entry that cannot be scored against.
    """
    for key in ('annotations', 'categories'):
        if not content.get(key):
            raise InputError(f'{origin}: {key!r} must not be empty to score against, but is')
    lengths = {video['id']: len(video['file_names']) for video in content['videos']}
    names = {category['id']: category['name'] for category in content['categories']}
    tubes = defaultdict(list)
    for index, entry in enumerate(content['annotations']):
        where = f'{origin}: annotations[{index}]'
        size = entry.get('height'), entry.get('width')
        masks = _masks_of(entry, lengths, where, size)
        areas = [area for area in entry.get('areas') or mask_areas(masks) if area]
        mean_area = float(np.mean(areas)) if areas else 0.0
        tube = Tube(masks, mean_area, crowd=bool(entry.get('iscrowd', 0)))
        tubes[entry['video_id'], entry['category_id']].append(tube)
    return GroundTruth(lengths, {key: names[key] for key in sorted(names)}, tubes)


def parse_results(
    results: Sequence[dict], lengths: dict[int, int], origin: str
) -> dict[tuple[int, int], list[Tube]]:
    """The entries of a submission as {(video id, category id): predictions}, checked.

    Args:
        results: entries of a submission.
        lengths: {video id: frames}.
        origin: names the submission in errors.

    Raises:
        InputError: an entry that cannot be scored.
    """
    places = defaultdict(list)
    for index, entry in enumerate(results):
        where = f'{origin}: [{index}]'
        score = entry.get('score')
        if not isinstance(score, (int, float)) or math.isnan(score):
            raise InputError(f'{where}: "score" must be a number, but got {score!r}')
        masks = _masks_of(entry, lengths, where, (None, None))
        areas = [area for area in mask_areas(masks) if area]
        mean_area = float(np.mean(areas)) if areas else 0.0
        places[entry['video_id'], entry['category_id']].append(Tube(masks, mean_area, score))
    return places


def _masks_of(entry: dict, lengths: dict[int, int], where: str, size: tuple) -> list[RLE | None]:
    video = entry.get('video_id')
    if video not in lengths:
        raise InputError(f'{where}: "video_id" must be a video of the file, but got {video!r}')
    if not isinstance(entry.get('category_id'), int):
        found = entry.get('category_id')
        raise InputError(f'{where}: "category_id" must be a whole number, but got {found!r}')
    masks = entry.get('segmentations')
    if not isinstance(masks, list) or len(masks) != lengths[video]:
        found = len(masks) if isinstance(masks, list) else masks
        raise InputError(
            f'{where}: "segmentations" must have one mask or null for each of the '
            f'{lengths[video]} frames, but got {found!r}'
        )
    try:
        return [None if mask is None else to_rle(mask, *size) for mask in masks]
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f'{where}: "segmentations" must be RLE or polygons: {error}') from None


def tube_ious(predictions: Sequence[Tube], truths: Sequence[Tube]) -> np.ndarray:
    """IoU of tubes [D, G]: intersections over unions, both summed over the frames.

    A frame in which two masks differ in size counts nothing.
    """
    intersections = np.zeros((len(predictions), len(truths)))
    unions = np.zeros_like(intersections)
    frames = len((*predictions, *truths)[0].masks)
    for t in range(frames):
        mine = [tube.masks[t] for tube in predictions]
        theirs = [tube.masks[t] for tube in truths]
        common, comparable = mask_intersections(mine, theirs)
        both = (
            np.array([tube.areas[t] for tube in predictions], float).reshape(-1, 1)
            + np.array([tube.areas[t] for tube in truths], float)
            - common
        )
        intersections += common
        unions += np.where(comparable, both, 0)
    return np.divide(intersections, unions, out=np.zeros_like(unions), where=unions > 0)
