"""From small mask logits to full-size binary masks and RLE.

Letters: N instances, T frames, H and W pixels of the original frames, h and w cells of a mask.
"""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

from tevit_vis.rle import encode_masks, encode_runs, find_runs, mask_areas
from tevit_vis.structures import RLE, ClipPrediction, VideoInstances, check_finite

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
        threshold: probability of a pixel's belonging to the mask from which on it does.
    """

    logits: torch.Tensor
    size: tuple[int, int]
    threshold: float

    @property
    def num_instances(self) -> int:
        """N."""
        return self.logits.shape[0]

    @property
    def num_frames(self) -> int:
        """T."""
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
    cells: None = None  # its maps are made for the frame alone

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
        return torch.stack(maps, 1).logit(LEAST_PROBABILITY) - self.threshold_logit


@dataclass(frozen=True)
class ResizedMasks(LogitMasks):
    """Masks on maps over the frame: each logit map is resized to the frame, bilinearly.

    PARITY(SeqFormer, IFC): a pixel belongs to the mask above the threshold, not at it.

    Args:
        cells: (y, x) cells that the frame covers from the first one on, which may be parts: what
            lies beyond is padding. None says that it covers the whole map.
    """

    cells: tuple[float, float] | None = None

    def frame(self, index: int) -> torch.Tensor:
        """Binary masks [N, H, W] (bool) of one frame."""
        if not self.num_instances:
            return self.logits.new_zeros(0, *self.size, dtype=torch.bool)
        logits = resize_to_frame(self.logits[:, index], self.size, self.cells)
        return logits > self.threshold_logit

    def maps(self) -> torch.Tensor:
        """The logits [N, T, h, w]; 0 at the threshold."""
        return self.logits - self.threshold_logit if self.threshold_logit else self.logits


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
            side.split(num_masks_at_once(boxes.device, size, bytes_of_pixel=16))
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


def num_masks_at_once(device: torch.device, size: tuple[int, int], bytes_of_pixel: int = 4) -> int:
    """Returns how many full-size masks may be worked on at a time.

    Args:
        size: (H, W).
        bytes_of_pixel: that the work needs.
    """
    budget = GPU_MASK_BYTES if device.type == 'cuda' else CPU_MASK_BYTES
    return max(1, budget // (size[0] * size[1] * bytes_of_pixel))


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
        at_once = max(1, num_masks_at_once(device, masks.size) // max(1, count))
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
