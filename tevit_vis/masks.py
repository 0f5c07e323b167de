"""Turns small mask logits into full-size binary masks and RLE.

Letters: N instances, T frames, H and W pixels of the original frames, h and w cells of a mask.
"""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tevit_vis.numpy_masks import HALF, MAP_STRIDE, MIN_PROBABILITY
from tevit_vis.rle import encode_masks, encode_runs, find_runs
from tevit_vis.structures import RLE, ClipPrediction, VideoInstances, check_outputs_finite

from .mask_pasting import (
    num_masks_at_once,
    paste_masks,
)


@dataclass(frozen=True)
class LogitMasks:
    """Small masks of a clip.

    Args:
        logits: [N, T, h, w].
        size: (H, W) of the original frames.
        threshold: probability from which on a pixel belongs to the mask.
    """

    logits: torch.Tensor
    size: tuple[int, int]
    threshold: float

    @property
    def num_instances(self) -> int:
        """The number of instances, N."""
        return self.logits.shape[0]

    @property
    def num_frames(self) -> int:
        """The number of frames, T."""
        return self.logits.shape[1]

    @property
    def threshold_logit(self) -> float:
        """The threshold as a logit, which is 0 for a probability of one half."""
        return math.log(self.threshold / (1 - self.threshold))


@dataclass(frozen=True)
class RoIMasks(LogitMasks):
    """Masks that fill a box: each logit map is pasted into its box.

    Args:
        boxes: [N, T, 4] float, x1 y1 x2 y2 in pixels of the original frames.
    """

    boxes: torch.Tensor
    cells: None = None  # the frame covers the whole of its maps

    def frame(self, index: int) -> torch.Tensor:
        """Binary masks [N, H, W] (bool) of one frame."""
        probabilities = self.logits[:, index].sigmoid()
        return paste_masks(probabilities, self.boxes[:, index], self.size) >= self.threshold

    def maps(self) -> torch.Tensor:
        """Returns logits [N, T, h, w] on coarse maps of the frame; they are 0 at the threshold."""
        height, width = self.size
        map_size = -(-height // MAP_STRIDE), -(-width // MAP_STRIDE)
        scale = self.boxes.new_tensor([map_size[1] / width, map_size[0] / height] * 2)
        maps = [
            paste_masks(self.logits[:, t].sigmoid(), self.boxes[:, t] * scale, map_size)
            for t in range(self.num_frames)
        ]
        return torch.stack(maps, 1).logit(MIN_PROBABILITY) - self.threshold_logit


@dataclass(frozen=True)
class ResizedMasks(LogitMasks):
    """Masks on maps over the frame: each logit map is resized to the frame, bilinearly.

    PARITY(SeqFormer, IFC): a pixel belongs to the mask above the threshold, not at it.

    Args:
        cells: (y, x) cells that the frame covers, counted from the top left and not always whole;
            the rest is padding. None if the frame covers the whole map.
    """

    cells: tuple[float, float] | None = None

    def frame(self, index: int) -> torch.Tensor:
        """Binary masks [N, H, W] (bool) of one frame."""
        if not self.num_instances:
            return self.logits.new_zeros(0, *self.size, dtype=torch.bool)
        logits = resize_to_frame(self.logits[:, index], self.size, self.cells)
        return logits > self.threshold_logit

    def maps(self) -> torch.Tensor:
        """Returns the logits [N, T, h, w], shifted so that they are 0 at the threshold."""
        return self.logits - self.threshold_logit if self.threshold_logit else self.logits


def resize_to_frame(
    maps: torch.Tensor, size: tuple[int, int], cells: tuple[float, float] | None
) -> torch.Tensor:
    """Resizes maps [N, h, w] bilinearly to a frame: [N, H, W] fp32.

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
    """Returns the boxes around small masks, in pixels of the frame; zeros for empty masks.

    Args:
        masks: [N, T, h, w] bool.
        size: (H, W) of the frame.
        cells: (y, x) that the frame covers, see ``ResizedMasks``.

    Returns:
        [N, T, 4] float, x1 y1 x2 y2.

    Example:
        >>> masks = torch.tensor([[[[False, True, True], [False, False, False]]]])
        >>> mask_extents(masks, size=(20, 30)).tolist()
        [[[10.0, 0.0, 30.0, 10.0]]]
    """
    covered = cells or masks.shape[2:]
    boxes = []
    for dim, pixels, count in ((2, size[1], covered[1]), (3, size[0], covered[0])):
        occupied = masks.any(dim)  # [N, T, cells]: of columns, then of rows
        first = occupied.int().argmax(2)
        last = occupied.shape[2] - occupied.flip(2).int().argmax(2)
        ends = (last * pixels / count).clamp(max=pixels) * occupied.any(2)
        boxes += [first * pixels / count, ends]
    return torch.stack([boxes[0], boxes[2], boxes[1], boxes[3]], -1)


def encode_maps(
    maps: list[torch.Tensor], size: tuple[int, int], cells: tuple[float, float] | None
) -> list[RLE]:
    """Returns the masks of logit maps [h, w], a few of them at full size at a time.

    Args:
        maps: positive inside of the mask.
        size: (H, W) of the frame.
        cells: see ``ResizedMasks``.
    """
    masks: list[RLE] = []
    at_once = num_masks_at_once(maps[0].device, size) if maps else 1
    for start in range(0, len(maps), at_once):
        some = torch.stack(maps[start : start + at_once])[:, None]
        masks += encode_masks(ResizedMasks(some, size, HALF, cells).frame(0))
    return masks


def encode_clip(prediction: ClipPrediction) -> VideoInstances:
    """Returns the instances of a clip with RLE masks; few frames are at full size at a time.

    A thread compresses the masks of some frames while those of the next are made.
    """
    masks = prediction.masks
    num_instances = masks.num_instances
    device = prediction.scores.device
    frames_at_once = 1
    if device.type == 'cuda':
        frames_at_once = max(1, num_masks_at_once(device, masks.size) // max(1, num_instances))
    rles: list[RLE] = []
    with ThreadPoolExecutor(1, thread_name_prefix='encode') as pool:
        pending: deque[Future] = deque()
        for start in range(0, masks.num_frames, frames_at_once):
            stop = min(start + frames_at_once, masks.num_frames)
            full_masks = torch.cat([masks.frame(index) for index in range(start, stop)])
            if device.type == 'cuda':
                pending.append(pool.submit(encode_runs, find_runs(full_masks)))
            else:
                pending.append(pool.submit(encode_masks, full_masks))
            while len(pending) > 1:
                rles += pending.popleft().result()
        while pending:
            rles += pending.popleft().result()
    # The sum of the mask logits goes along: it is finite only if all of them are.
    scores = torch.cat([prediction.scores.float(), masks.logits.float().sum()[None]]).cpu().numpy()
    check_outputs_finite(masks=scores[-1:])
    return VideoInstances(
        labels=prediction.labels.cpu().numpy(),
        scores=scores[:-1],
        boxes=prediction.boxes.float().cpu().numpy(),
        segmentations=[list(rles[n::num_instances]) for n in range(num_instances)],
        size=masks.size,
    )
