"""Whether mmcv was built with CUDA kernels."""

from __future__ import annotations

import torch
from mmcv.ops import get_compiling_cuda_version


def has_cuda_ops(device: torch.device) -> bool:
    """Whether mmcv has its own kernels for a device.

    Example:
        >>> has_cuda_ops(torch.device('cpu'))
        False
    """
    return device.type == 'cuda' and get_compiling_cuda_version() != 'not available'
