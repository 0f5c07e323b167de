"""Run-length encoded masks in COCO's format; the only module that calls pycocotools.

Masks from files are checked by ``mask_checks.py`` first.

Letters: N masks, T frames, H and W pixels of a frame, R runs of all masks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from tevit_vis.mask_checks import check_counts, check_polygons, check_size
from tevit_vis.structures import RLE
from tevit_vis.utils.values import shorten

if TYPE_CHECKING:
    import torch

MASKS_AT_ONCE = 63  # masks in one call of pycocotools


class MaskRuns(NamedTuple):
    """The pixels at which masks begin or end, column by column, on the host."""

    owners: np.ndarray  # [R] index of the mask that the run is in
    places: np.ndarray  # [R] index of the run's first pixel, in rising order for each mask
    num_masks: int  # N
    size: tuple[int, int]  # (H, W)


def find_runs(masks: torch.Tensor) -> MaskRuns:
    """Returns the runs of binary masks [N, H, W] (bool); only these are copied from the device.

    Example:
        >>> import torch
        >>> runs = find_runs(torch.tensor([[[True, False], [True, True]]]))
        >>> runs.places.tolist()
        [0, 2, 3]
    """
    by_column = masks.transpose(1, 2).flatten(1)
    starts = by_column != by_column.roll(1, dims=1)
    starts[:, 0] = by_column[:, 0]  # the first run of a COCO mask is background
    runs = starts.nonzero().int().cpu().numpy()
    return MaskRuns(runs[:, 0], runs[:, 1], len(masks), (masks.shape[1], masks.shape[2]))


def encode_runs(runs: MaskRuns) -> list[RLE]:
    """Returns the compressed RLE of each mask.

    Example:
        >>> import torch
        >>> encode_runs(find_runs(torch.ones(1, 2, 2, dtype=torch.bool)))
        [{'size': [2, 2], 'counts': '04'}]
    """
    height, width = runs.size
    ends = np.searchsorted(runs.owners, np.arange(runs.num_masks), side='right')
    uncompressed = [
        {
            'size': [height, width],
            'counts': np.diff(places, prepend=0, append=height * width).tolist(),
        }
        for places in np.split(runs.places, ends)[: runs.num_masks]
    ]
    encoded = coco_mask.frPyObjects(uncompressed, height, width) if uncompressed else []
    return [{'size': list(rle['size']), 'counts': rle['counts'].decode()} for rle in encoded]


def encode_masks(masks: torch.Tensor | np.ndarray) -> list[RLE]:
    """Returns binary masks [N, H, W] (bool) as N compressed RLEs with text counts.

    Example:
        >>> encode_masks(np.ones((1, 2, 2), bool))
        [{'size': [2, 2], 'counts': '04'}]
    """
    # pycocotools reads columns first: H varies fastest.
    if isinstance(masks, np.ndarray):
        by_column = np.ascontiguousarray(masks.transpose(0, 2, 1)).view(np.uint8)
    elif masks.device.type == 'cuda':
        return encode_runs(find_runs(masks))
    else:
        by_column = masks.permute(0, 2, 1).contiguous().numpy().view(np.uint8)
    encoded = coco_mask.encode(by_column.transpose(2, 1, 0))
    return [{'size': list(rle['size']), 'counts': rle['counts'].decode()} for rle in encoded]


def decode_rle(rle: RLE) -> np.ndarray:
    """Returns a compressed RLE as a binary mask [H, W] (bool).

    Example:
        >>> decode_rle({'size': [2, 2], 'counts': '04'}).tolist()
        [[True, True], [True, True]]
    """
    return coco_mask.decode(rle).astype(bool)


def encode_array(mask: np.ndarray) -> RLE:
    """Returns a binary mask [H, W] as a compressed RLE with text counts.

    Example:
        >>> encode_array(np.ones((2, 2), bool))
        {'size': [2, 2], 'counts': '04'}
    """
    encoded = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {'size': list(encoded['size']), 'counts': encoded['counts'].decode()}


def to_rle(mask: object, height: int, width: int) -> RLE:
    """Returns a mask of a file as a compressed RLE.

    Args:
        mask: an RLE, compressed or not, or polygons [[x, y, x, y, ...], ...].
        height: of the frame.
        width: of the frame.

    Raises:
        ValueError: the mask is neither, or has impossible numbers. Whether its runs add up is not
            checked here, but for many masks at once by ``mask_checks.rle_faults``.

    Example:
        >>> to_rle({'size': [3, 4], 'counts': [7, 2, 3]}, 3, 4)
        {'size': [3, 4], 'counts': '723'}
    """
    if isinstance(mask, dict):
        if not {'size', 'counts'} <= set(mask):
            raise ValueError(f'it is {shorten(mask)}')
        size = check_size(mask['size'])
        if isinstance(mask['counts'], str):
            return {'size': list(size), 'counts': mask['counts']}
        counts = check_counts(mask['counts'])
        encoded = coco_mask.frPyObjects({'size': list(size), 'counts': counts}, *size)
    else:
        polygons = check_polygons(mask, height, width)
        encoded = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    return {'size': list(encoded['size']), 'counts': encoded['counts'].decode()}


def mask_areas(track: Sequence[RLE | None]) -> np.ndarray:
    """Returns the number of pixels of each mask of a track, 0 where there is no mask.

    Example:
        >>> mask_areas([{'size': [2, 2], 'counts': '04'}, None]).tolist()
        [4, 0]
    """
    areas = np.zeros(len(track), np.int64)
    for places, masks in _in_batches(track):
        areas[places] = coco_mask.area(masks)
    return areas


def mask_boxes(track: Sequence[RLE | None]) -> np.ndarray:
    """Returns the smallest box around each mask of a track: [T, 4], x y width height.

    The box is zeros where there is no mask.

    Example:
        >>> mask_boxes([{'size': [2, 2], 'counts': '04'}, None]).tolist()
        [[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0]]
    """
    boxes = np.zeros((len(track), 4))
    for places, masks in _in_batches(track):
        boxes[places] = coco_mask.toBbox(masks)
    return boxes


def _in_batches(track: Sequence[RLE | None]) -> Iterator[tuple[list[int], list[RLE]]]:
    """Yields the masks that are not None and their indices, in batches for pycocotools.

    pycocotools 2.0 stores 4 times the number of masks in a uint8, which numpy 2 refuses above 255.
    """
    present = [(place, rle) for place, rle in enumerate(track) if rle is not None]
    for start in range(0, len(present), MASKS_AT_ONCE):
        places, masks = zip(*present[start : start + MASKS_AT_ONCE])
        yield list(places), list(masks)


def overlap_fractions(first: Sequence[RLE], second: Sequence[RLE]) -> np.ndarray:
    """Returns the fraction of each first mask that lies inside each second mask.

    Multiplied by the area of the first mask it is the intersection in pixels, up to rounding.

    Args:
        first: D masks.
        second: G masks.

    Returns:
        [D, G] float; -1 where the sizes of the frames differ.

    Example:
        >>> full, column = {'size': [2, 2], 'counts': '04'}, {'size': [2, 2], 'counts': '022'}
        >>> overlap_fractions([full], [full, column]).tolist()
        [[1.0, 0.5]]
    """
    # With every second mask a crowd, the "IoU" is the intersection over the first one's area.
    return coco_mask.iou(first, second, [1] * len(second))
