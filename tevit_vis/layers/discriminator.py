"""A network that tells ground-truth foreground masks from predicted ones, patch by patch.

Thawakar et al., "Video Instance Segmentation via Multi-scale Spatio-temporal Split Attention
Transformer", ECCV 2022, section 3.3.

Letters: N frames, C channels, H_l, W_l cells of a level.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.runner import BaseModule
from torch import nn

SLOPE = 0.2  # of LeakyReLU below zero


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a map [N, C, H, W]."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps of the same shape."""
        return super().forward(maps.movedim(1, -1)).movedim(-1, 1)


class PatchDiscriminator(BaseModule):
    """Judges a foreground mask, given its frame and the frame's features at three scales.

    Args:
        feature_channels: C of the features and of the first two layers.
        block_channels: output channels of the blocks that follow; one more layer has a single
            channel.
    """

    def __init__(self, feature_channels: int, block_channels: Sequence[int]) -> None:
        super().__init__()
        self.finest = nn.Conv2d(3 + feature_channels + 1, feature_channels, 3, padding=1)
        self.middle = nn.Conv2d(feature_channels, feature_channels, 3, padding=1)
        layers: list[nn.Module] = []
        in_channels = feature_channels
        for out_channels in block_channels:
            layers += [
                nn.Conv2d(in_channels, out_channels, 3, padding=1),
                ChannelNorm(out_channels),
                nn.LeakyReLU(SLOPE),
            ]
            in_channels = out_channels
        self.blocks = nn.Sequential(*layers, nn.Conv2d(in_channels, 1, 3, padding=1))

    def init_weights(self) -> None:
        """Draws Kaiming's weights, such that frame, features and mask start with equal influence.

        The mask is one channel among hundreds. With plain Kaiming weights the discriminator would
        ignore it for many iterations.
        """
        super().init_weights()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                nn.init.zeros_(module.bias)
        features = self.middle.in_channels
        for weights in self.finest.weight.data.split([3, features, 1], dim=1):
            nn.init.kaiming_normal_(weights, nonlinearity='linear')
            weights /= 3**0.5

    def forward(
        self, frames: torch.Tensor, masks: torch.Tensor, maps: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Returns the logits [N, 1, H_3, W_3] of patches belonging to a ground-truth mask.

        Args:
            frames: [N, 3, H_1, W_1], normalised.
            masks: [N, 1, H_1, W_1] in 0..1.
            maps: three [N, C, H_l, W_l], the finest first.
        """
        finest, middle, coarsest = maps
        hidden = self.finest(torch.cat([frames, finest, masks], 1))
        # Max-pooling by two, or to the next level's size where sizes are odd.
        hidden = self.middle(F.adaptive_max_pool2d(hidden, middle.shape[2:]) + middle)
        return self.blocks(F.adaptive_max_pool2d(hidden, coarsest.shape[2:]) + coarsest)
