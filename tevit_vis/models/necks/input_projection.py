"""A neck that projects backbone maps to the channels of a transformer.

Zhu et al., "Deformable DETR", ICLR 2021, appendix A.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.runner import BaseModule, ModuleList
from mmdet.models.builder import NECKS
from torch import nn


@NECKS.register_module()
class InputProjection(BaseModule):
    """A convolution and a group norm per level; coarser levels are made from the last map.

    mmdet's ``ChannelMapper`` has no bias in a convolution before a norm, but the checkpoints of
    Deformable DETR and its successors have one.

    Args:
        in_channels: of each map.
        out_channels: of all levels.
        num_outs: number of levels, at least that of maps; each further level has half the size.
        num_groups: of the norms; None for none.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int,
        num_groups: int | None = 32,
    ) -> None:
        super().__init__()
        if num_outs < len(in_channels):
            raise ValueError(
                f'num_outs must be at least the {len(in_channels)} maps, but got {num_outs}'
            )

        def level(inputs: int, **conv: int) -> nn.Sequential:
            norm = [nn.GroupNorm(num_groups, out_channels)] if num_groups else []
            return nn.Sequential(nn.Conv2d(inputs, out_channels, **conv), *norm)

        self.levels = ModuleList([level(inputs, kernel_size=1) for inputs in in_channels])
        inputs = in_channels[-1]
        for _ in range(num_outs - len(in_channels)):
            self.levels.append(level(inputs, kernel_size=3, stride=2, padding=1))
            inputs = out_channels

    def init_weights(self) -> None:
        """Draws Xavier's uniform weights; biases are zero."""
        for conv, *_ in self.levels:
            nn.init.xavier_uniform_(conv.weight)
            nn.init.zeros_(conv.bias)

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Returns one map [N, C, H_l, W_l] per level."""
        outputs = [level(inputs) for level, inputs in zip(self.levels, maps)]
        coarsest = maps[-1]
        for level in self.levels[len(maps) :]:
            coarsest = level(coarsest)
            outputs.append(coarsest)
        return outputs
