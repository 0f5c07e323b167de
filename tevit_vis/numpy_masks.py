"""Masks of clips in numpy: what ``masks.py`` does with tensors, for exported models.

Bilinear sampling is separable, so that it is two products with matrices of weights.

Letters: N instances, T frames, H and W pixels of the original frames, h and w cells of a mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tevit_vis.arrays import sigmoid
from tevit_vis.rle import encode_masks
from tevit_vis.structures import RLE, ClipPrediction, VideoInstances, check_outputs_finite

HALF = 0.5  # probability above which a pixel belongs to a mask; its logit is 0
MAP_STRIDE = 4  # pixels along a cell of the maps that ``ArrayRoIMasks.maps`` makes
MIN_PROBABILITY = 1e-4  # the maximum is 1 minus this, where probabilities become logits
Cells = tuple[float, float]


@dataclass(frozen=True)
class ArrayMasks:
    """Small masks of a clip.

    Args:
        logits: [N, T, h, w] float32.
        size: (H, W) of the original frames.
        threshold: probability from which on a pixel belongs to the mask.
    """

    logits: Any
    size: tuple[int, int]
    threshold: float

    @property
    def num_instances(self) -> int:
        """The number of instances, N."""
        return int(self.logits.shape[0])

    @property
    def num_frames(self) -> int:
        """The number of frames, T."""
        return int(self.logits.shape[1])

    @property
    def threshold_logit(self) -> float:
        """The threshold as a logit, which is 0 for a probability of one half."""
        return math.log(self.threshold / (1 - self.threshold))


@dataclass(frozen=True)
class ArrayRoIMasks(ArrayMasks):
    """Masks that fill a box, see ``masks.RoIMasks``.

    Args:
        boxes: [N, T, 4] float, x1 y1 x2 y2 in pixels of the original frames.
    """

    boxes: np.ndarray
    cells: None = None

    def frame(self, index: int) -> Any:
        """Binary masks [N, H, W] (bool) of one frame."""
        probabilities = sigmoid(self.logits[:, index])
        return paste_masks(probabilities, self.boxes[:, index], self.size) >= self.threshold

    def maps(self) -> Any:
        """Returns logits [N, T, h, w] on coarse maps of the frame; they are 0 at the threshold."""
        height, width = self.size
        map_size = -(-height // MAP_STRIDE), -(-width // MAP_STRIDE)
        scale = np.float32([map_size[1] / width, map_size[0] / height] * 2)
        maps = [
            paste_masks(sigmoid(self.logits[:, t]), self.boxes[:, t] * scale, map_size)
            for t in range(self.num_frames)
        ]
        inside = np.stack(maps, 1).clip(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        return np.log(inside / (1 - inside)) - np.float32(self.threshold_logit)


@dataclass(frozen=True)
class ArrayResizedMasks(ArrayMasks):
    """Masks on maps over the frame, see ``masks.ResizedMasks``.

    Args:
        cells: (y, x) cells that the frame covers; None if it covers all of them.
    """

    cells: Cells | None = None

    def frame(self, index: int) -> Any:
        """Binary masks [N, H, W] (bool) of one frame."""
        return resize_to_frame(self.logits[:, index], self.size, self.cells) > self.threshold_logit

    def maps(self) -> Any:
        """Returns the logits [N, T, h, w], shifted so that they are 0 at the threshold."""
        return self.logits - np.float32(self.threshold_logit)


def sample_weights(positions: np.ndarray, count: int) -> np.ndarray:
    """Returns the weights [P, count] of cells in bilinear samples; cells outside count as 0.

    Args:
        positions: [P] in cells; the centre of the first cell is 0.
        count: number of cells.

    Example:
        >>> sample_weights(np.array([0.25, -0.5]), 2).tolist()
        [[0.75, 0.25], [0.5, 0.0]]
    """
    distances = np.abs(positions[:, None] - np.arange(count))
    return np.maximum(1 - distances, 0).astype(np.float32)


def resize_to_frame(maps: np.ndarray, size: tuple[int, int], cells: Cells | None) -> np.ndarray:
    """Resizes maps [N, h, w] bilinearly to a frame: [N, H, W], see ``masks.resize_to_frame``.

    Example:
        >>> frame = resize_to_frame(np.array([[[0.0, 2.0, 4.0]]]), (1, 5), (1, 2.5))
        >>> frame[0, 0].round(4).tolist()
        [0.0, 0.5, 1.5, 2.5, 3.5]
    """
    covered = cells or maps.shape[1:]
    is_whole = all(side == int(side) for side in covered)
    axes = []
    for pixels, side, count in zip(size, covered, maps.shape[1:]):
        last = (side if is_whole else count) - 1
        positions = (np.arange(pixels) + 0.5) * (side / pixels) - 0.5
        axes.append(sample_weights(positions.clip(0, last), count))
    return axes[0] @ maps.astype(np.float32, copy=False) @ axes[1].T


def paste_masks(probabilities: np.ndarray, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pastes mask probabilities [N, h, w] into boxes [N, 4] of the frame: [N, H, W] float32."""
    canvas = np.zeros((len(probabilities), *size), np.float32)
    for target, mask, (x1, y1, x2, y2) in zip(canvas, probabilities, boxes):
        if not (x2 > max(x1, 0) and y2 > max(y1, 0) and x1 < size[1] and y1 < size[0]):
            continue  # no area on the frame
        rows, columns = (
            slice(max(0, math.floor(low) - 1), min(pixels, math.ceil(high) + 1))
            for low, high, pixels in ((y1, y2, size[0]), (x1, x2, size[1]))
        )
        weights = [
            sample_weights((np.arange(p.start, p.stop) + 0.5 - low) / (high - low) * n - 0.5, n)
            for p, low, high, n in ((rows, y1, y2, mask.shape[0]), (columns, x1, x2, mask.shape[1]))
        ]
        target[rows, columns] = weights[0] @ mask @ weights[1].T
    return canvas


def mask_extents(
    masks: np.ndarray, size: tuple[int, int], cells: Cells | None = None
) -> np.ndarray:
    """Returns the boxes [N, T, 4] around small masks [N, T, h, w], see ``masks.mask_extents``.

    Example:
        >>> masks = np.array([[[[False, True, True], [False, False, False]]]])
        >>> mask_extents(masks, size=(20, 30)).tolist()
        [[[10.0, 0.0, 30.0, 10.0]]]
    """
    covered = cells or masks.shape[2:]
    sides = []
    for axis, pixels, count in ((2, size[1], covered[1]), (3, size[0], covered[0])):
        occupied = masks.any(axis)
        first = occupied.argmax(2)
        last = occupied.shape[2] - occupied[..., ::-1].argmax(2)
        ends = np.minimum(last * pixels / count, pixels) * occupied.any(2)
        sides += [first * pixels / count, ends]
    return np.stack([sides[0], sides[2], sides[1], sides[3]], -1).astype(np.float32)


def encode_maps(maps: Sequence[Any], size: tuple[int, int], cells: Cells | None) -> list[RLE]:
    """Returns the masks of logit maps [h, w], which are positive inside of a mask.

    Args:
        maps: arrays of numpy or tensors of torch.
        size: (H, W) of the frame.
        cells: (y, x) that the frame covers, see ``masks.ResizedMasks``.

    Example:
        >>> encode_maps([np.ones((1, 1))], (2, 2), None)
        [{'size': [2, 2], 'counts': '04'}]
    """
    if maps and not isinstance(maps[0], np.ndarray):
        from tevit_vis import masks

        return masks.encode_maps(list(maps), size, cells)
    return [
        rle
        for logits in maps
        for rle in encode_masks(ArrayResizedMasks(logits[None, None], size, HALF, cells).frame(0))
    ]


def encode_clip(prediction: ClipPrediction) -> VideoInstances:
    """Returns the instances of a clip with RLE masks; one frame is at full size at a time."""
    masks: Any = prediction.masks
    check_outputs_finite(masks=masks.logits, boxes=prediction.boxes)
    frames = [encode_masks(masks.frame(t)) for t in range(masks.num_frames)]
    scores: Any = prediction.scores
    labels: Any = prediction.labels
    boxes: Any = prediction.boxes
    return VideoInstances(
        labels=labels,
        scores=scores,
        boxes=boxes,
        segmentations=[list(track) for track in zip(*frames)],
        size=masks.size,
    )
