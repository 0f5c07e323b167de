"""RoI features, from mmcv's CUDA kernel where it was built and from ``embedding_bag`` elsewhere.

On the CPU mmcv's RoIAlign runs on one thread. Its average of bilinear samples is a weighted sum of
cells, and a cell of a channels-last map is one row of memory. torch sums rows fast
(``embedding_bag``): the features are equal up to rounding, 3 to 8 times faster, and have gradients.
The same code serves a GPU for which mmcv's ops were not built.

Letters: N frames, C channels, H and W cells of a level, R RoIs, P output cells along a side,
G samples along a side of an output cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.ops import RoIAlign, roi_align
from torch import nn

from tevit_vis.utils.compat import has_compiled_ops

from .cuda_ops import has_cuda_ops
from .exporting import is_exporting, roi_align_operator


def roi_memory_format(device: torch.device) -> torch.memory_format:
    """Returns the memory format in which ``extract_roi_feats`` reads levels without a copy.

    Example:
        >>> roi_memory_format(torch.device('cpu'))
        torch.channels_last
    """
    return torch.contiguous_format if has_cuda_ops(device) else torch.channels_last


def boxes_to_rois(boxes: torch.Tensor) -> torch.Tensor:
    """Returns boxes as RoIs of folded frames.

    Args:
        boxes: [B, T, Q, 4], x1 y1 x2 y2 in pixels of the network input.

    Returns:
        [B*Q*T, 5] = (index of the folded frame, x1 y1 x2 y2), frames varying fastest.

    Example:
        >>> boxes = torch.tensor([[[[0.0, 0.0, 8.0, 4.0]], [[1.0, 0.0, 9.0, 4.0]]]])  # T = 2
        >>> boxes_to_rois(boxes).tolist()
        [[0.0, 0.0, 0.0, 8.0, 4.0], [1.0, 1.0, 0.0, 9.0, 4.0]]
    """
    num_clips, num_frames, num_queries = boxes.shape[:3]
    frames = torch.arange(num_clips * num_frames, device=boxes.device, dtype=boxes.dtype)
    frames = frames.view(num_clips, num_frames, 1, 1).expand(-1, -1, num_queries, -1)
    return torch.cat([frames, boxes], dim=3).transpose(1, 2).flatten(0, 2)


def replace_nonfinite_boxes(boxes: torch.Tensor) -> torch.Tensor:
    """Returns boxes [..., 4] in which every box that is not finite is replaced by zeros.

    RoIAlign would abort the process on such a box. A model that diverges has a loss that is not
    finite either, and training stops at that loss with a message.

    Example:
        >>> boxes = torch.tensor([[0.0, 0.0, 8.0, 4.0], [0.0, 0.0, 8.0, torch.nan]])
        >>> replace_nonfinite_boxes(boxes).tolist()
        [[0.0, 0.0, 8.0, 4.0], [0.0, 0.0, 0.0, 0.0]]
    """
    return boxes.where(boxes.isfinite().all(-1, keepdim=True), boxes.new_zeros(()))


def extract_roi_feats(
    extractor: nn.Module, levels: Sequence[torch.Tensor], rois: torch.Tensor
) -> torch.Tensor:
    """Features of RoIs, each from the level that fits its size.

    Args:
        extractor: mmdet's ``SingleRoIExtractor``.
        levels: [N, C, H_l, W_l] each; levels for which the extractor has no stride are not used.
        rois: [R, 5] = (frame, x1 y1 x2 y2 in pixels of the network input).

    Returns:
        [R, C, P, P].
    """
    levels = levels[: extractor.num_inputs]
    if is_exporting():
        return _extract_by_operator(extractor, levels, rois)
    if has_cuda_ops(rois.device):
        return _extract_with_kernel(extractor, levels, rois)
    if not all(_supports_rows(layer) for layer in extractor.roi_layers):
        return extractor([level.contiguous() for level in levels], rois)
    level_of_roi = extractor.map_roi_levels(rois, len(levels))
    size = extractor.roi_layers[0].output_size[0]
    feats = rois.new_zeros(len(rois), size, size, levels[0].shape[1])
    for index, (level, layer) in enumerate(zip(levels, extractor.roi_layers)):
        level_rois = (level_of_roi == index).nonzero()[:, 0]
        pooled = roi_align_rows(
            level, rois[level_rois], layer.spatial_scale, size, (layer.sampling_ratio,) * 2
        )
        feats = feats.index_copy(0, level_rois, pooled)
    return feats.permute(0, 3, 1, 2)


def _extract_by_operator(
    extractor: nn.Module, levels: Sequence[torch.Tensor], rois: torch.Tensor
) -> torch.Tensor:
    """Returns what mmdet's extractor returns, for a graph of ONNX.

    Each RoI is taken from every level, then one of them is chosen: a graph has no lists of RoIs
    whose lengths depend on their sizes.
    """
    level_of_roi = extractor.map_roi_levels(rois, len(levels))[:, None, None, None]
    feats = roi_align_operator(levels[0], rois, extractor.roi_layers[0])
    for index, (level, layer) in enumerate(zip(levels, extractor.roi_layers)):
        if index:
            feats = torch.where(
                level_of_roi == index, roi_align_operator(level, rois, layer), feats
            )
    return feats


def _extract_with_kernel(
    extractor: nn.Module, levels: Sequence[torch.Tensor], rois: torch.Tensor
) -> torch.Tensor:
    """Returns what mmdet's extractor returns; the host waits once instead of once per level."""
    level_of_roi = extractor.map_roi_levels(rois, len(levels))
    order = level_of_roi.argsort(stable=True)
    counts = (level_of_roi[:, None] == torch.arange(len(levels), device=rois.device)).sum(0)
    size = extractor.roi_layers[0].output_size
    feats = [rois.new_zeros(0, levels[0].shape[1], *size)]
    unused = []
    rois_of_levels = rois[order].split(counts.tolist())
    for level, layer, level_rois in zip(levels, extractor.roi_layers, rois_of_levels):
        if len(level_rois):
            feats.append(layer(level.contiguous(), level_rois))
        else:  # in training every weight needs a gradient, as other processes expect
            unused.append(level)
    sorted_feats = torch.cat(feats)
    if sorted_feats.requires_grad or not len(rois):
        sorted_feats = sorted_feats + sum(level.sum() * 0 for level in unused)
    return torch.empty_like(sorted_feats).index_copy(0, order, sorted_feats)


def _supports_rows(layer: RoIAlign) -> bool:
    """Whether ``roi_align_rows`` computes what this layer computes."""
    height, width = layer.output_size
    return (
        height == width and layer.sampling_ratio > 0 and layer.aligned and layer.pool_mode == 'avg'
    )


def roi_align_rows(
    level: torch.Tensor, rois: torch.Tensor, scale: float, size: int, samples: tuple[int, int]
) -> torch.Tensor:
    """Returns what mmcv's RoIAlign (average, aligned, fixed samples per output cell) returns.

    Args:
        level: [N, C, H, W]; read without a copy when in channels-last memory.
        rois: [R, 5] = (frame, x1 y1 x2 y2 in pixels).
        scale: cells per pixel.
        size: P.
        samples: G along the height and along the width of an output cell.

    Returns:
        [R, P, P, C].
    """
    num_frames, channels, height, width = level.shape
    table = level.permute(0, 2, 3, 1).reshape(num_frames * height * width, channels)
    rois = rois.detach()  # mmcv's RoIAlign has no gradient for the boxes either
    x1, y1, x2, y2 = (rois[:, 1:] * scale - 0.5).unbind(1)
    y_samples, x_samples = samples
    x_cells, x_weights = _axis_samples(x1, x2, width, size, x_samples)
    y_cells, y_weights = _axis_samples(y1, y2, height, size, y_samples)
    first_row = rois[:, 0].int() * (height * width)  # of each RoI's frame in the table
    # [R,P,1,2G,1] and [R,1,P,1,2G] -> [R*P*P, 4*G*G], G of each axis
    rows = first_row[:, None, None, None, None] + y_cells[:, :, None, :, None] * width
    rows = (rows + x_cells[:, None, :, None, :]).flatten(0, 2).flatten(1)
    weights = y_weights[:, :, None, :, None] * x_weights[:, None, :, None, :]
    weights = (weights / (y_samples * x_samples)).flatten(0, 2).flatten(1)
    pooled = F.embedding_bag(rows, table, per_sample_weights=weights, mode='sum')
    return pooled.view(len(rois), size, size, channels)


def _axis_samples(
    low: torch.Tensor, high: torch.Tensor, num_cells: int, size: int, sampling_ratio: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the cells and weights of the bilinear samples along one axis.

    Args:
        low, high: [R], start and end of each RoI, in cells.
        num_cells: length of the axis.
        size: P.
        sampling_ratio: G.

    Returns:
        Cells [R, P, 2G] (int32) and their weights [R, P, 2G]; a sample outside the map has weight
        0.
    """
    # Summed in mmcv's order, so that positions agree to the last bit.
    bins = ((high - low) / size)[:, None, None]  # [R,1,1]
    starts = low[:, None, None] + bins * torch.arange(size, device=low.device)[:, None]
    steps = torch.arange(sampling_ratio, device=low.device) + 0.5
    positions = starts + steps * bins / sampling_ratio  # [R,P,G]
    is_inside = (positions >= -1) & (positions <= num_cells)
    positions = positions.clamp(0, num_cells - 1)
    lower = positions.int()
    upper = (lower + 1).clamp(max=num_cells - 1)
    upper_weight = positions - lower
    weights = torch.stack([1 - upper_weight, upper_weight], dim=-1) * is_inside[..., None]
    return torch.stack([lower, upper], dim=-1).flatten(2), weights.flatten(2)


def crop_masks(masks: torch.Tensor, rois: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Returns what mmcv's RoIAlign makes of masks, with a sample per pixel of an output cell.

    It is mmcv's operator where that was compiled, and else the same sum of rows.

    Args:
        masks: [N, 1, H, W] float.
        rois: [R, 5] = (index of the mask, x1 y1 x2 y2 in pixels); at least one.
        size: (P, P).

    Returns:
        [R, P, P].
    """
    if has_compiled_ops():
        return roi_align(masks, rois, size, 1.0, 0, 'avg', True)[:, 0]
    cropped = masks.new_zeros(len(rois), *size)
    samples = ((rois[:, [4, 3]] - rois[:, [2, 1]]) / size[0]).ceil().int()
    for pair in samples.unique(dim=0).tolist():
        if min(pair) > 0:
            chosen = (samples == samples.new_tensor(pair)).all(1)
            cropped[chosen] = roi_align_rows(masks, rois[chosen], 1.0, size[0], tuple(pair))[..., 0]
    return cropped
