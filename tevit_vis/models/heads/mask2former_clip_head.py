"""Mask2Former-VIS: a head of Mask2Former whose queries stand for an object in all frames of a clip.

Cheng et al., "Mask2Former for Video Instance Segmentation", 2021 (arXiv 2112.10764).

Letters: B clips, T frames, Q queries, C channels, h and w cells of an encoded level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from mmdet.models.builder import HEADS

from tevit_vis.geometry import FrameGeometry
from tevit_vis.inference_config import InferenceConfig
from tevit_vis.structures import ClipPrediction

from .gather_gt import gather_batch
from .mask2former_head import MASK_STRIDE, Annotations, Mask2FormerVISHead, clip_prediction


@HEADS.register_module()
class Mask2FormerClipHead(Mask2FormerVISHead):
    """Mask2Former-VIS: a query stands for an object in all frames of a clip.

    It has the weights of ``Mask2FormerVISHead``; positions also tell the frame.
    """

    # PARITY(Mask2Former-VIS): the official losses compare the same points in all frames; here, as
    # a clip is one image for mmdet's losses, points lie anywhere in the clip.

    def cell_position(self, level: torch.Tensor) -> torch.Tensor:
        """See ``Mask2FormerVISHead.cell_position``."""
        position = super().cell_position(level)
        return position + time_position(level.shape[1], position.shape[2], position.device)

    def forward_train(
        self,
        mask_features: torch.Tensor,
        levels: Sequence[torch.Tensor],
        batch: Annotations,
        size: Sequence[int],
    ) -> dict[str, torch.Tensor]:
        """See ``Mask2FormerVISHead.forward_train``; a clip as a whole."""
        clips = gather_batch(batch.metas, batch.bboxes, batch.labels, batch.masks, batch.ids, size)
        return self.losses(
            mask_features, levels, [clip.labels for clip in clips], [clip.masks for clip in clips]
        )

    def predict(
        self,
        mask_features: torch.Tensor,
        levels: Sequence[torch.Tensor],
        geometry: FrameGeometry,
        frames_per_pass: int,
        config: InferenceConfig,
    ) -> ClipPrediction:
        """See ``Mask2FormerVISHead.predict``; all frames are decoded at once."""
        queries = self(mask_features, levels)[-1]  # [1, Q, C]
        features = geometry.crop_to_image(mask_features, MASK_STRIDE)

        def mask_logits(chosen: torch.Tensor) -> torch.Tensor:
            return self.mask_logits(queries[:, chosen], features)[0]

        class_logits = self.class_logits(queries[0])
        return clip_prediction(class_logits, mask_logits, queries[0], geometry, config)


def time_position(num_frames: int, channels: int, device: torch.device) -> torch.Tensor:
    """Returns the sine position of each frame, over the whole clip: [1, T, C, 1, 1].

    It is the part along time of Mask2Former-VIS's positions, with their period of 2 pi for a clip.

    Example:
        >>> time_position(2, 4, torch.device('cpu')).shape
        torch.Size([1, 2, 4, 1, 1])
    """
    places = torch.arange(1, num_frames + 1, device=device) / (num_frames + 1e-6) * (2 * math.pi)
    pairs = torch.arange(channels, device=device) // 2
    angles = places[:, None] / 10_000.0 ** (2 * pairs / channels)
    position = torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], 2).flatten(1)
    return position[None, :, :, None, None]
