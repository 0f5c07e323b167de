"""Full precision inside a network that runs in bf16 or fp16 (torch.autocast)."""

from __future__ import annotations

import torch
from torch import nn


def full_precision(device: torch.device) -> torch.autocast:
    """Returns a context in which autocast is off: operations keep the dtype of their inputs.

    Example:
        >>> with torch.autocast('cpu', torch.bfloat16), full_precision(torch.device('cpu')):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.float32
    """
    return torch.autocast(device.type, enabled=False)


def at_least_fp32(x: torch.Tensor) -> torch.Tensor:
    """Returns a tensor in fp32, or in fp64 if it is.

    Example:
        >>> at_least_fp32(torch.ones(1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return x if x.dtype == torch.float64 else x.float()


class FullPrecisionLinear(nn.Linear):
    """A linear layer that computes and returns fp32, for class scores and coordinates.

    Example:
        >>> with torch.autocast('cpu', torch.bfloat16):
        ...     FullPrecisionLinear(2, 1)(torch.ones(1, 2, dtype=torch.bfloat16)).dtype
        torch.float32
    """

    @classmethod
    def of(cls, linear: nn.Linear) -> FullPrecisionLinear:
        """Returns a layer that shares the weights of ``linear``, without a copy."""
        layer = nn.utils.skip_init(cls, linear.in_features, linear.out_features)
        layer.weight, layer.bias = linear.weight, linear.bias
        return layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See ``nn.Linear``."""
        with full_precision(x.device):
            return super().forward(x.float())
