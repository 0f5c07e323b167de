"""From small mask logits to full-size binary masks and RLE; the only user of pycocotools.mask.

Letters: N instances, T frames, H and W pixels of the original frames, h and w cells of a mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from pycocotools import mask as coco_mask

from tevit_vis.structures import RLE, ClipPrediction, VideoInstances


@dataclass(frozen=True)
class RoIMasks:
    """Masks that fill a box: each [h, w] logit map is pasted into its box.

    Args:
        logits: [N, T, h, w].
        boxes: [N, T, 4] float, x1 y1 x2 y2 in pixels of the original frames.
        size: (H, W) of the original frames.
        threshold: probability at and above which a pixel belongs to the mask.
    """

    logits: torch.Tensor
    boxes: torch.Tensor
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

    def frame(self, index: int) -> torch.Tensor:
        """Binary masks [N, H, W] (bool) of one frame."""
        probabilities = self.logits[:, index].sigmoid()
        return paste_masks(probabilities, self.boxes[:, index], self.size) >= self.threshold


def paste_masks(
    probabilities: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Paste mask probabilities into the frame, bilinearly, one box at a time.

    One at a time costs least on the CPU, and keeps one temporary of a box's size on the GPU.

    Args:
        probabilities: [N, h, w].
        boxes: [N, 4], x1 y1 x2 y2 in pixels.
        size: (H, W) of the frame.

    Returns:
        [N, H, W] float, 0 outside the boxes.
    """
    height, width = size
    canvas = probabilities.new_zeros(len(probabilities), height, width)
    on_frame = (
        (boxes[:, 2:] > boxes[:, :2]).all(1)
        & (boxes[:, 2:] > 0).all(1)
        & (boxes[:, 0] < width)
        & (boxes[:, 1] < height)
    )
    for index in on_frame.nonzero()[:, 0].tolist():
        # A box wholly outside the frame crashes mmdet's pasting: it stays an empty mask here.
        pasted, window = _do_paste_mask(
            probabilities[index, None, None], boxes[index, None], height, width, skip_empty=True
        )
        canvas[index][window] = pasted[0]
    return canvas


def encode_masks(masks: torch.Tensor) -> list[RLE]:
    """Binary masks [N, H, W] (bool) as N compressed RLEs with text counts."""
    # pycocotools reads columns first: H varies fastest.
    by_column = masks.permute(0, 2, 1).contiguous().cpu().numpy().view(np.uint8)
    encoded = coco_mask.encode(by_column.transpose(2, 1, 0))
    return [{'size': list(rle['size']), 'counts': rle['counts'].decode()} for rle in encoded]


def decode_rle(rle: RLE) -> np.ndarray:
    """A compressed RLE as a binary mask [H, W] (bool)."""
    return coco_mask.decode(rle).astype(bool)


def track_area(track: list[RLE | None]) -> int:
    """Pixels of a track's masks, over all frames."""
    return int(sum(coco_mask.area(rle) for rle in track if rle is not None))


def encode_clip(prediction: ClipPrediction) -> VideoInstances:
    """Turn a clip's prediction into RLE, holding one frame's full-size masks at a time."""
    masks = prediction.masks
    by_frame = [encode_masks(masks.frame(index)) for index in range(masks.num_frames)]
    return VideoInstances(
        labels=prediction.labels.cpu().numpy(),
        scores=prediction.scores.float().cpu().numpy(),
        boxes=prediction.boxes.float().cpu().numpy(),
        segmentations=[[frame[n] for frame in by_frame] for n in range(masks.num_instances)],
        size=masks.size,
    )
