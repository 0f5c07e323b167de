"""Mask features of IFC.

Hwang et al., "Video Instance Segmentation using Inter-Frame Communication Transformers",
NeurIPS 2021, section 3.3.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmcv.runner import BaseModule
from torch import nn


class MaskFPN(BaseModule):
    """Merges encoded cells at stride 32 and projected maps of strides 16 and 8 into one map.

    Args:
        channels: of all maps.
        num_groups: of the norms.
    """

    def __init__(self, channels: int, num_groups: int = 32) -> None:
        super().__init__()

        def level() -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1), nn.GroupNorm(num_groups, channels)
            )

        self.stride32, self.stride16, self.stride8 = level(), level(), level()
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def init_weights(self) -> None:
        """Draws Kaiming's uniform weights; biases are zero."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)

    def forward(
        self, encoded: torch.Tensor, middle: torch.Tensor, finest: torch.Tensor
    ) -> torch.Tensor:
        """Returns mask features [B*T, C, H_8, W_8].

        Args:
            encoded, middle, finest: [B*T, C, H_l, W_l] of strides 32, 16 and 8.
        """
        merged = self.stride32(encoded)
        merged = self.stride16(middle + F.interpolate(merged, middle.shape[2:]))
        merged = self.stride8(finest + F.interpolate(merged, finest.shape[2:])).relu()
        return self.pointwise(self.depthwise(merged).relu()).relu()
