"""The ground truth of training clips, and what a detector predicted for it.

Letters: B clips, T frames, N instances of a clip, K classes, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from tevit_vis.structures import check_shape


@dataclass(frozen=True)
class GtTubes:
    """The ground truth of a training clip: instances, each through all frames.

    Args:
        labels: [N] int64 in 0..K-1.
        boxes: [T, N, 4] float, x1 y1 x2 y2 in pixels of the network input; zeros where the
            instance is absent.
        relative_boxes: [T, N, 4] float, centre x y, width, height, relative to the image. All four
            are close to zero where the instance is absent (``models/heads/gather_gt.py``).
        masks: [N, T, H, W] bool on the padded network input, or 0 to 1 on the cells that a head
            compares; empty where the instance is absent.
        present: [T, N] bool, whether the instance is annotated in the frame.
        present_on_host: ``present`` as an array, for decisions of the host without a GPU wait.

    Raises:
        ValueError: a field whose shape does not fit the others.
    """

    labels: torch.Tensor
    boxes: torch.Tensor
    relative_boxes: torch.Tensor
    masks: torch.Tensor
    present: torch.Tensor
    present_on_host: np.ndarray

    def __post_init__(self) -> None:
        count, frames = self.masks.shape[:2]
        expected = {
            'labels': (count,),
            'boxes': (frames, count, 4),
            'relative_boxes': (frames, count, 4),
            'present': (frames, count),
            'present_on_host': (frames, count),
        }
        for name, shape in expected.items():
            check_shape('GtTubes', name, tuple(getattr(self, name).shape), shape)

    @classmethod
    def of_labels(cls, labels: torch.Tensor, num_frames: int) -> GtTubes:
        """Returns ground truth with labels only, whose instances are present in all frames.

        Example:
            >>> GtTubes.of_labels(torch.tensor([2, 0]), num_frames=3).present.shape
            torch.Size([3, 2])
        """
        shape = num_frames, len(labels)
        return cls(
            labels=labels,
            boxes=torch.zeros(*shape, 4),
            relative_boxes=torch.zeros(*shape, 4),
            masks=torch.zeros(len(labels), num_frames, 0, 0, dtype=torch.bool),
            present=torch.ones(shape, dtype=torch.bool),
            present_on_host=np.ones(shape, bool),
        )

    def frame(self, index: int) -> GtTubes:
        """Returns the instances in one frame, as a clip of that frame."""
        frame = slice(index, index + 1)
        return GtTubes(
            labels=self.labels,
            boxes=self.boxes[frame],
            relative_boxes=self.relative_boxes[frame],
            masks=self.masks[:, frame],
            present=self.present[frame],
            present_on_host=self.present_on_host[frame],
        )

    def with_masks(self, masks: torch.Tensor) -> GtTubes:
        """Returns the instances with other masks [N, T, h, w]."""
        return replace(self, masks=masks)

    def __len__(self) -> int:
        return len(self.labels)


class TrainOutputs(NamedTuple):
    """What a detector predicted in training, for losses outside of it (MS-STS's adversary)."""

    losses: dict[str, torch.Tensor]
    padding: torch.Tensor  # [B, T, H, W] bool, True on padding
    feature_maps: list[torch.Tensor]  # [B, T, C, H_l, W_l] encoded, the finest first
    pred_masks: list[torch.Tensor]  # B times [N, T, h, w] logits of the matched queries
    gt_tubes: Sequence[GtTubes]  # B, in the order of their ids
