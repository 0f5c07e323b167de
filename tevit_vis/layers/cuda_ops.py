"""Which kernels mmcv was built with."""

from __future__ import annotations

import torch
from mmcv.ops import get_compiling_cuda_version


def has_cuda_ops(device: torch.device) -> bool:
    """Whether mmcv has its own kernels for a device."""
    return device.type == 'cuda' and get_compiling_cuda_version() != 'not available'
