"""Masks by small convolutions whose weights each instance brings.

Tian et al., "Conditional Convolutions for Instance Segmentation", ECCV 2020, section 3; over
clips as in Wu et al., "SeqFormer", ECCV 2022, section 3.3.

Letters: B clips, T frames, N instances, C channels, F mask features, H and W cells at stride 8.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.runner import BaseModule
from torch import nn

FEATURE_STRIDE = 8  # of the mask features, in pixels of the network input
HIDDEN = 8  # channels between the dynamic convolutions


class MaskFeatures(BaseModule):
    """One map at stride 8 from maps of strides 8, 16 and 32.

    Args:
        in_channels: C.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()

        def conv(inputs: int, outputs: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, 3, padding=1)

        self.out_channels = in_channels // 32  # F
        self.stride32 = conv(in_channels, in_channels)
        self.stride16 = conv(in_channels, in_channels)
        self.stride8 = conv(in_channels, in_channels)
        self.narrow = conv(in_channels, in_channels // 4)
        self.out = conv(in_channels // 4, self.out_channels)

    def init_weights(self) -> None:
        """He's uniform weights, biases zero."""
        for conv in self.children():
            nn.init.kaiming_uniform_(conv.weight, a=1)
            nn.init.zeros_(conv.bias)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """[N, F, H, W] from [N, C, H_l, W_l] of strides 8, 16 and 32."""
        finest, middle, coarsest = maps
        merged = self.stride32(coarsest).relu()
        merged = self.stride16(middle + F.interpolate(merged, middle.shape[2:])).relu()
        merged = self.stride8(finest + F.interpolate(merged, finest.shape[2:])).relu()
        return self.out(self.narrow(merged).relu()).relu()


class DynamicConvs:
    """Three 1x1 convolutions, F (+2) -> 8 -> 8 -> 1, with weights of each instance.

    Args:
        features: F.
        with_coordinates: the first one also sees where a cell lies relative to the instance.
    """

    def __init__(self, features: int, with_coordinates: bool) -> None:
        inputs = features + 2 * with_coordinates
        self.with_coordinates = with_coordinates
        self.shapes = [(HIDDEN, inputs), (HIDDEN, HIDDEN), (1, HIDDEN)]  # out, in

    @property
    def num_parameters(self) -> int:
        """Numbers that an instance brings: the weights of all three, then their biases."""
        return sum(outputs * inputs + outputs for outputs, inputs in self.shapes)

    def __call__(
        self, features: torch.Tensor, parameters: torch.Tensor, centres: torch.Tensor
    ) -> torch.Tensor:
        """Mask logits of one clip at stride 8: [N, T, H, W].

        Args:
            features: [T, F, H, W].
            parameters: [N, P].
            centres: [N, T, 2] of the instances, x y in pixels of the network input.
        """
        # Coordinates of hundreds of pixels need more digits than half precision has.
        with torch.autocast(features.device.type, enabled=False):
            return self._convolve(features.float(), parameters.float(), centres.float())

    def _convolve(
        self, features: torch.Tensor, parameters: torch.Tensor, centres: torch.Tensor
    ) -> torch.Tensor:
        outs = [outputs for outputs, _ in self.shapes]
        areas = [outputs * inputs for outputs, inputs in self.shapes]
        parts = parameters.split(areas + outs, dim=1)
        frames = features.expand(len(parameters), -1, -1, -1, -1)  # [N, T, F, H, W]
        if self.with_coordinates:
            frames = torch.cat([relative_coordinates(centres, features.shape[2:]), frames], 2)
        for index, (outputs, inputs) in enumerate(self.shapes):
            weight, bias = parts[index].unflatten(1, (outputs, inputs)), parts[3 + index]
            frames = torch.einsum('noi,ntihw->ntohw', weight, frames)
            frames = frames + bias[:, None, :, None, None]
            if index < 2:
                frames = frames.relu()
        return frames[:, :, 0]


def relative_coordinates(centres: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """How far each cell lies from the centres, in pixels: [N, T, 2, H, W], x then y.

    Args:
        centres: [N, T, 2], x y in pixels.
        size: (H, W) in cells.
    """
    y, x = torch.meshgrid(
        *(
            torch.arange(count, device=centres.device) * FEATURE_STRIDE + FEATURE_STRIDE // 2
            for count in size
        ),
        indexing='ij',
    )
    return centres[..., None, None] - torch.stack([x, y])


def aligned_bilinear(masks: torch.Tensor) -> torch.Tensor:
    """Twice the size, so that cell i of [N, T, H, W] lies at 2 i + 1/2 (CondInst's upsampling)."""
    height, width = masks.shape[2:]
    padded = F.pad(masks, (0, 1, 0, 1), mode='replicate')
    large = F.interpolate(
        padded, (2 * height + 1, 2 * width + 1), mode='bilinear', align_corners=True
    )
    return F.pad(large, (1, 0, 1, 0), mode='replicate')[:, :, : 2 * height, : 2 * width]
