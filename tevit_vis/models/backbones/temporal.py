"""The base class of backbones that mix the frames of a clip."""

from __future__ import annotations

import torch
from torch import nn


class TemporalBackbone(nn.Module):
    """Marks a backbone that mixes the frames of a clip.

    The features of a frame then depend on its clip: they may not be cached per frame for
    overlapping windows, and the frames of a clip must come together.
    """

    def forward(
        self, frames: torch.Tensor, num_frames: int, frames_per_pass: int
    ) -> list[torch.Tensor]:
        """Feature maps of folded clips.

        Args:
            frames: [B*T, 3, H, W].
            num_frames: T.
            frames_per_pass: frames worked on at a time, which bounds temporaries.

        Returns:
            One [B*T, C_l, H_l, W_l] per level.
        """
        raise NotImplementedError
