"""Masks from small convolutions whose weights are predicted for each instance.

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
HIDDEN_CHANNELS = 8  # between the dynamic convolutions


class MaskFeatures(BaseModule):
    """Merges maps of strides 8, 16 and 32 into mask features at stride 8.

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
        """Draws Kaiming's uniform weights; biases are zero."""
        for conv in self.children():
            nn.init.kaiming_uniform_(conv.weight, a=1)
            nn.init.zeros_(conv.bias)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Returns mask features [B*T, F, H, W].

        Args:
            maps: [B*T, C, H_l, W_l] of strides 8, 16 and 32.
        """
        finest, middle, coarsest = maps
        merged = self.stride32(coarsest).relu()
        merged = self.stride16(middle + F.interpolate(merged, middle.shape[2:])).relu()
        merged = self.stride8(finest + F.interpolate(merged, finest.shape[2:])).relu()
        return self.out(self.narrow(merged).relu()).relu()


class DynamicConvs:
    """Three 1x1 convolutions, F (+2) -> 8 -> 8 -> 1, with weights predicted for each instance.

    Args:
        features: F.
        with_coordinates: whether the first convolution also gets the position of each cell
            relative to the instance.
    """

    def __init__(self, features: int, with_coordinates: bool) -> None:
        inputs = features + 2 * with_coordinates
        self.with_coordinates = with_coordinates
        # (out, in) channels
        self.shapes = [
            (HIDDEN_CHANNELS, inputs),
            (HIDDEN_CHANNELS, HIDDEN_CHANNELS),
            (1, HIDDEN_CHANNELS),
        ]

    @property
    def num_parameters(self) -> int:
        """Number of parameters of an instance: all three weights, then all three biases."""
        return sum(outputs * inputs + outputs for outputs, inputs in self.shapes)

    def __call__(
        self, features: torch.Tensor, parameters: torch.Tensor, centres: torch.Tensor
    ) -> torch.Tensor:
        """Returns the mask logits of one clip at stride 8: [N, T, H, W].

        Args:
            features: [T, F, H, W].
            parameters: [N, num_parameters].
            centres: [N, T, 2] of the instances, x y in pixels of the network input.
        """
        # Coordinates of hundreds of pixels need more precision than fp16 and bf16 have.
        with torch.autocast(features.device.type, enabled=False):
            return self._convolve(features.float(), parameters.float(), centres.float())

    def _convolve(
        self, features: torch.Tensor, parameters: torch.Tensor, centres: torch.Tensor
    ) -> torch.Tensor:
        num_weights = [outputs * inputs for outputs, inputs in self.shapes]
        num_biases = [outputs for outputs, _ in self.shapes]
        parts = parameters.split(num_weights + num_biases, dim=1)
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
    """Returns the offset from each cell to the centres: [N, T, 2, H, W], x y in pixels.

    Args:
        centres: [N, T, 2], x y in pixels.
        size: (H, W) in cells.

    Example:
        >>> relative_coordinates(torch.tensor([[[4.0, 4.0]]]), (1, 2))[0, 0, 0].tolist()
        [[0.0, -8.0]]
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
    """Returns masks [N, T, 2 H, 2 W], in which cell i becomes cell 2 i + 1 (CondInst's upsampling).

    Example:
        >>> aligned_bilinear(torch.tensor([[[[0.0, 2.0, 4.0]]]]))[0, 0, 0].tolist()
        [0.0, 0.0, 1.0, 2.0, 3.0, 4.0]
    """
    height, width = masks.shape[2:]
    padded = F.pad(masks, (0, 1, 0, 1), mode='replicate')
    large = F.interpolate(
        padded, (2 * height + 1, 2 * width + 1), mode='bilinear', align_corners=True
    )
    return F.pad(large, (1, 0, 1, 0), mode='replicate')[:, :, : 2 * height, : 2 * width]
