"""Forms of layers for graphs of ONNX: what its operators can do, in place of what is fastest here.

Letters: N frames, C channels, H and W cells of a level, R RoIs, P output cells along a side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def is_exporting() -> bool:
    """Returns whether the model is being exported to ONNX.

    Example:
        >>> is_exporting()
        False
    """
    return bool(torch.onnx.is_in_onnx_export())


def split_parts(x: torch.Tensor, size: int, dim: int = 0) -> Sequence[torch.Tensor]:
    """Returns parts of ``size`` along a dimension; a graph takes all at once.

    A graph whose number of frames is free cannot be cut into parts.

    Example:
        >>> [len(part) for part in split_parts(torch.zeros(5), 2)]
        [2, 2, 1]
    """
    return (x,) if is_exporting() else x.split(size, dim)


def roi_align_operator(level: torch.Tensor, rois: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """Returns the features [R, C, P, P] of RoIs by ONNX's operator ``RoiAlign`` (since opset 16).

    It computes what mmcv's RoIAlign does; only its symbol is made here, for a graph.

    Args:
        level: [N, C, H, W].
        rois: [R, 5] = (frame, x1 y1 x2 y2 in pixels).
        layer: mmcv's ``RoIAlign``, average and aligned.
    """
    height, width = layer.output_size
    return torch.onnx.ops.symbolic(
        'RoiAlign',
        (level, rois[:, 1:], rois[:, 0].long()),
        {
            'mode': 'avg',
            'output_height': height,
            'output_width': width,
            'sampling_ratio': layer.sampling_ratio,
            'spatial_scale': layer.spatial_scale,
            'coordinate_transformation_mode': 'half_pixel',
        },
        dtype=level.dtype,
        shape=(rois.shape[0], level.shape[1], height, width),
        version=16,
    )
