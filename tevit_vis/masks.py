"""From small mask logits to full-size binary masks and RLE; the only user of pycocotools.mask.

Letters: N instances, T frames, H and W pixels of the original frames, h and w cells of a mask.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from pycocotools import mask as coco_mask

from tevit_vis.rle import check_counts, check_polygons, check_size
from tevit_vis.structures import RLE, ClipPrediction, VideoInstances, check_finite
from tevit_vis.utils.values import shorten

MASKS_AT_ONCE = 63  # of one call of pycocotools
CPU_MASK_BYTES = 64 << 20  # of the full-size masks that are worked on at a time
GPU_MASK_BYTES = 512 << 20
MAP_STRIDE = 4  # pixels of a cell of maps made from masks in boxes
LEAST_PROBABILITY = 1e-4  # and the most is 1 less it, where they become logits


@dataclass(frozen=True)
class LogitMasks:
    """Small masks of a clip.

    Args:
        logits: [N, T, h, w].
        size: (H, W) of the original frames.
    """

    logits: torch.Tensor
    size: tuple[int, int]

    @property
    def num_instances(self) -> int:
        """N."""
        return self.logits.shape[0]

    @property
    def num_frames(self) -> int:
        """T."""
        return self.logits.shape[1]


@dataclass(frozen=True)
class RoIMasks(LogitMasks):
    """Masks that fill a box: each logit map is pasted into its box.

    Args:
        boxes: [N, T, 4] float, x1 y1 x2 y2 in pixels of the original frames.
        threshold: probability at and above which a pixel belongs to the mask.
    """

    boxes: torch.Tensor
    threshold: float

    def frame(self, index: int) -> torch.Tensor:
        """Binary masks [N, H, W] (bool) of one frame."""
        probabilities = self.logits[:, index].sigmoid()
        return paste_masks(probabilities, self.boxes[:, index], self.size) >= self.threshold

    def maps(self) -> torch.Tensor:
        """Logits [N, T, h, w] over the frame, in cells of a few pixels; 0 at the threshold."""
        height, width = self.size
        cells = -(-height // MAP_STRIDE), -(-width // MAP_STRIDE)
        scale = self.boxes.new_tensor([cells[1] / width, cells[0] / height] * 2)
        maps = [
            paste_masks(self.logits[:, t].sigmoid(), self.boxes[:, t] * scale, cells)
            for t in range(self.num_frames)
        ]
        threshold = math.log(self.threshold / (1 - self.threshold))
        return torch.stack(maps, 1).logit(LEAST_PROBABILITY) - threshold


@dataclass(frozen=True)
class ResizedMasks(LogitMasks):
    """Masks on maps over the frame: each logit map is resized to it, bilinearly; a pixel belongs to
    the mask where its logit is positive.

    Args:
        cells: (y, x) cells that the frame covers from the first one on, which may be parts: what
            lies beyond is padding. None says that it covers the whole map.
    """

    cells: tuple[float, float] | None = None

    def frame(self, index: int) -> torch.Tensor:
        """Binary masks [N, H, W] (bool) of one frame."""
        if not self.num_instances:
            return self.logits.new_zeros(0, *self.size, dtype=torch.bool)
        return resize_to_frame(self.logits[:, index], self.size, self.cells) > 0

    def maps(self) -> torch.Tensor:
        """The logits [N, T, h, w] as they are."""
        return self.logits


def resize_to_frame(
    maps: torch.Tensor, size: tuple[int, int], cells: tuple[float, float] | None
) -> torch.Tensor:
    """Resize maps [N, h, w] bilinearly to a frame: [N, H, W] fp32.

    Args:
        size: (H, W).
        cells: (y, x) that the frame covers, see ``ResizedMasks``.

    Example:
        >>> maps = torch.tensor([[[0.0, 2.0, 4.0]]])
        >>> frame = resize_to_frame(maps, (1, 5), (1, 2.5))  # half a cell for each pixel
        >>> [round(value, 4) for value in frame[0, 0].tolist()]
        [0.0, 0.5, 1.5, 2.5, 3.5]
    """
    maps = maps[None].float()
    height, width = cells or maps.shape[2:]
    if height == int(height) and width == int(width):
        maps = maps[:, :, : int(height), : int(width)]
        return F.interpolate(maps, size, mode='bilinear', align_corners=False)[0]
    y, x = (  # where the pixels lie on the map, from -1 to 1 over all of its cells
        (torch.arange(side, device=maps.device) + 0.5) * (2 * covered / (side * count)) - 1
        for side, covered, count in zip(size, (height, width), maps.shape[2:])
    )
    grid = torch.stack([x.expand(size), y[:, None].expand(size)], -1)[None]
    return F.grid_sample(maps, grid.to(maps), padding_mode='border', align_corners=False)[0]


def mask_extents(
    masks: torch.Tensor, size: tuple[int, int], cells: tuple[float, float] | None = None
) -> torch.Tensor:
    """Boxes around small masks, in pixels of the frame; zeros around empty ones.

    Args:
        masks: [N, T, h, w] bool.
        size: (H, W) of the frame.
        cells: (y, x) that the frame covers, see ``ResizedMasks``.

    Returns:
        [N, T, 4] float, x1 y1 x2 y2.
    """
    covered = cells or masks.shape[2:]
    boxes = []
    for dim, pixels, count in ((2, size[1], covered[1]), (3, size[0], covered[0])):
        there = masks.any(dim)  # [N, T, cells]: of columns, then of rows
        first = there.int().argmax(2)
        last = there.shape[2] - there.flip(2).int().argmax(2)
        ends = (last * pixels / count).clamp(max=pixels) * there.any(2)
        boxes += [first * pixels / count, ends]
    return torch.stack([boxes[0], boxes[2], boxes[1], boxes[3]], -1)


def paste_masks(
    probabilities: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Paste mask probabilities into the frame, bilinearly.

    Args:
        probabilities: [N, h, w].
        boxes: [N, 4], x1 y1 x2 y2 in pixels.
        size: (H, W) of the frame.

    Returns:
        [N, H, W] float, 0 outside the boxes.
    """
    height, width = size
    on_frame = (
        (boxes[:, 2:] > boxes[:, :2]).all(1)
        & (boxes[:, 2:] > 0).all(1)
        & (boxes[:, 0] < width)
        & (boxes[:, 1] < height)
    )
    if probabilities.device.type == 'cuda':
        return _paste_whole_frames(probabilities, boxes, on_frame, size)
    canvas = probabilities.new_zeros(len(probabilities), height, width)
    for index in on_frame.nonzero()[:, 0].tolist():  # on the CPU the pixels in boxes cost least
        # A box wholly outside the frame crashes mmdet's pasting: it stays an empty mask here.
        pasted, window = _do_paste_mask(
            probabilities[index, None, None], boxes[index, None], height, width, skip_empty=True
        )
        canvas[index][window] = pasted[0]
    return canvas


def _paste_whole_frames(
    probabilities: torch.Tensor, boxes: torch.Tensor, on_frame: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """As ``paste_masks``, a few instances at a time, without asking the device where boxes are.

    Args:
        on_frame: [N] bool, boxes with an area that reach the frame.
    """
    height, width = size
    beside = boxes.new_tensor([-2.0, -2.0, -1.0, -1.0])
    boxes = torch.where(on_frame[:, None], boxes, beside)
    y = torch.arange(height, device=boxes.device) + 0.5
    x = torch.arange(width, device=boxes.device) + 0.5
    parts = []
    for some, corners in zip(
        *(
            side.split(masks_at_once(boxes.device, size, bytes_of_pixel=16))
            for side in (probabilities, boxes)
        )
    ):
        x1, y1, x2, y2 = corners[..., None].unbind(1)  # [n, 1] each
        rows = (y - y1) / (y2 - y1) * 2 - 1  # [n, H]
        columns = (x - x1) / (x2 - x1) * 2 - 1  # [n, W]
        grid = torch.stack(
            [
                columns[:, None].expand(-1, height, -1),
                rows[:, :, None].expand(-1, -1, width),
            ],
            dim=3,
        )
        parts.append(F.grid_sample(some[:, None], grid.to(some), align_corners=False)[:, 0])
    return torch.cat(parts) if parts else probabilities.new_zeros(0, height, width)


def masks_at_once(device: torch.device, size: tuple[int, int], bytes_of_pixel: int = 4) -> int:
    """Returns how many full-size masks may be worked on at a time.

    Args:
        size: (H, W).
        bytes_of_pixel: that the work needs.
    """
    budget = GPU_MASK_BYTES if device.type == 'cuda' else CPU_MASK_BYTES
    return max(1, budget // (size[0] * size[1] * bytes_of_pixel))


class MaskRuns(NamedTuple):
    """Where the pixels of masks change, columns first, on the host."""

    owners: np.ndarray  # [R] number of the mask
    places: np.ndarray  # [R] number of the pixel, in order
    num_masks: int  # N
    size: tuple[int, int]  # (H, W)


def find_runs(masks: torch.Tensor) -> MaskRuns:
    """Returns the runs of binary masks [N, H, W] (bool): all of them that leaves the device.

    Example:
        >>> runs = find_runs(torch.tensor([[[True, False], [True, True]]]))
        >>> runs.places.tolist()
        [0, 2, 3]
    """
    by_column = masks.transpose(1, 2).flatten(1)
    before = F.pad(by_column[:, :-1], (1, 0))  # a mask begins with pixels that are not in it
    runs = (by_column != before).nonzero().to(torch.int32).cpu().numpy()
    return MaskRuns(runs[:, 0], runs[:, 1], len(masks), (masks.shape[1], masks.shape[2]))


def encode_runs(runs: MaskRuns) -> list[RLE]:
    """Returns the compressed RLE of each mask.

    Example:
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


def encode_masks(masks: torch.Tensor) -> list[RLE]:
    """Binary masks [N, H, W] (bool) as N compressed RLEs with text counts."""
    if masks.device.type == 'cuda':
        return encode_runs(find_runs(masks))
    # pycocotools reads columns first: H varies fastest.
    by_column = masks.permute(0, 2, 1).contiguous().numpy().view(np.uint8)
    encoded = coco_mask.encode(by_column.transpose(2, 1, 0))
    return [{'size': list(rle['size']), 'counts': rle['counts'].decode()} for rle in encoded]


def decode_rle(rle: RLE) -> np.ndarray:
    """A compressed RLE as a binary mask [H, W] (bool)."""
    return coco_mask.decode(rle).astype(bool)


def to_rle(mask: object, height: int, width: int) -> RLE:
    """Returns a mask of a file as a compressed RLE.

    Args:
        mask: an RLE, compressed or not, or polygons [[x, y, x, y, ...], ...].
        height, width: of the frame.

    Raises:
        ValueError: neither of these, or numbers that cannot be. Whether runs add up is not looked
            at: see ``rle.rle_faults``, for many at once.

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
    """Pixels of each mask of a track, 0 where there is none."""
    areas = np.zeros(len(track), np.int64)
    for places, masks in _some_at_a_time(track):
        areas[places] = coco_mask.area(masks)
    return areas


def mask_boxes(track: Sequence[RLE | None]) -> np.ndarray:
    """Smallest box around each mask of a track: [T, 4], x y width height; zeros without a mask."""
    boxes = np.zeros((len(track), 4))
    for places, masks in _some_at_a_time(track):
        boxes[places] = coco_mask.toBbox(masks)
    return boxes


def _some_at_a_time(track: Sequence[RLE | None]) -> Iterator[tuple[list[int], list[RLE]]]:
    """The masks that are there, and their places, few enough for pycocotools.

    pycocotools 2.0 puts 4 times their number into a uint8, which numpy 2 refuses beyond 255.
    """
    present = [(place, rle) for place, rle in enumerate(track) if rle is not None]
    for start in range(0, len(present), MASKS_AT_ONCE):
        places, masks = zip(*present[start : start + MASKS_AT_ONCE])
        yield list(places), list(masks)


def overlap_shares(first: Sequence[RLE], second: Sequence[RLE]) -> np.ndarray:
    """Which part of each first mask lies in each second one: [D, G]; -1 where they differ in size.

    Times the first one's area it is a whole number of pixels, but for rounding.
    """
    # With every second mask a crowd, the "IoU" is the intersection over the first one's area.
    return coco_mask.iou(first, second, [1] * len(second))


def keep_masks(
    instances: VideoInstances, drop_empty: bool, min_mask_score: float
) -> VideoInstances:
    """What of a video's instances is output.

    Args:
        instances: of the whole video.
        drop_empty: leave out those without a pixel in any frame.
        min_mask_score: those below it have no mask in any frame.
    """
    if drop_empty:
        seen = [mask_areas(track).any() for track in instances.segmentations]
        instances = instances.take(np.flatnonzero(seen))
    tracks: list[list[RLE | None]] = [
        list(track) if score >= min_mask_score else [None] * len(track)
        for score, track in zip(instances.scores, instances.segmentations)
    ]
    return replace(instances, segmentations=tracks)


def encode_clip(prediction: ClipPrediction) -> VideoInstances:
    """Turn a clip's prediction into RLE, holding few frames' full-size masks at a time.

    A thread compresses the masks of some frames while those of the next are made.
    """
    masks = prediction.masks
    count = masks.num_instances
    device = prediction.scores.device
    at_once = 1
    if device.type == 'cuda':
        at_once = max(1, masks_at_once(device, masks.size) // max(1, count))
    rles: list[RLE] = []
    with ThreadPoolExecutor(1, thread_name_prefix='encode') as pool:
        waiting: deque[Future] = deque()
        for start in range(0, masks.num_frames, at_once):
            stop = min(start + at_once, masks.num_frames)
            full = torch.cat([masks.frame(index) for index in range(start, stop)])
            if device.type == 'cuda':
                waiting.append(pool.submit(encode_runs, find_runs(full)))
            else:
                waiting.append(pool.submit(encode_masks, full))
            while len(waiting) > 1:
                rles += waiting.popleft().result()
        while waiting:
            rles += waiting.popleft().result()
    # The sum of the logits comes along: it is not finite where one of them is not.
    scores = torch.cat([prediction.scores.float(), masks.logits.float().sum()[None]]).cpu().numpy()
    check_finite(masks=scores[-1:])
    return VideoInstances(
        labels=prediction.labels.cpu().numpy(),
        scores=scores[:-1],
        boxes=prediction.boxes.float().cpu().numpy(),
        segmentations=[list(rles[n::count]) for n in range(count)],
        size=masks.size,
    )
