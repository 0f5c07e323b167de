"""RoI features, by mmcv's CUDA kernel where it was built and as sums of table rows elsewhere.

On the CPU mmcv's RoIAlign runs on one thread through planes of memory. The same average of
bilinear samples is a weighted sum of cells, that is of rows of a channels-last map, for which
torch has a fast kernel (``embedding_bag``): equal to rounding, 3 to 8 times faster, with gradients
for the features. It also serves a GPU for which mmcv's ops were not built.

Letters: N frames, C channels, H and W cells of a level, R RoIs, P output cells along a side,
G samples along a side of an output cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.ops import RoIAlign
from torch import nn

from .cuda_ops import has_cuda_ops


def roi_memory_format(device: torch.device) -> torch.memory_format:
    """The memory in which `extract_roi_feats` reads levels without a copy."""
    return torch.contiguous_format if has_cuda_ops(device) else torch.channels_last


def boxes_to_rois(boxes: torch.Tensor) -> torch.Tensor:
    """Returns boxes as RoIs of folded frames.

    Args:
        boxes: [B, T, Q, 4], x1 y1 x2 y2 in pixels of the network input.

    Returns:
        [B*Q*T, 5] = (number of the folded frame, x1 y1 x2 y2), frames varying fastest.
    """
    num_clips, num_frames, num_queries = boxes.shape[:3]
    frames = torch.arange(num_clips * num_frames, device=boxes.device, dtype=boxes.dtype)
    frames = frames.view(num_clips, num_frames, 1, 1).expand(-1, -1, num_queries, -1)
    return torch.cat([frames, boxes], dim=3).transpose(1, 2).flatten(0, 2)


def finite_boxes(boxes: torch.Tensor) -> torch.Tensor:
    """Returns boxes [..., 4] with zeros in place of those that are not finite.

    RoIAlign would abort the process on such a box. The loss of a model that diverges is not finite
    either, and training stops at that with a message.
    """
    return boxes.where(boxes.isfinite().all(-1, keepdim=True), boxes.new_zeros(()))


def extract_roi_feats(
    extractor: nn.Module, levels: Sequence[torch.Tensor], rois: torch.Tensor
) -> torch.Tensor:
    """Features of RoIs, each from the level that fits its size.

    Args:
        extractor: mmdet's ``SingleRoIExtractor``.
        levels: [N, C, H_l, W_l] each; those beyond the extractor's strides are not used.
        rois: [R, 5] = (frame, x1 y1 x2 y2 in pixels of the network input).

    Returns:
        [R, C, P, P].
    """
    levels = levels[: extractor.num_inputs]
    if has_cuda_ops(rois.device):
        return _by_kernel(extractor, levels, rois)
    if not all(_is_sum_of_rows(layer) for layer in extractor.roi_layers):
        return extractor([level.contiguous() for level in levels], rois)
    level_of_roi = extractor.map_roi_levels(rois, len(levels))
    size = extractor.roi_layers[0].output_size[0]
    feats = rois.new_zeros(len(rois), size, size, levels[0].shape[1])
    for index, (level, layer) in enumerate(zip(levels, extractor.roi_layers)):
        chosen = (level_of_roi == index).nonzero()[:, 0]
        pooled = roi_align_rows(
            level, rois[chosen], layer.spatial_scale, size, layer.sampling_ratio
        )
        feats = feats.index_copy(0, chosen, pooled)
    return feats.permute(0, 3, 1, 2)


def _by_kernel(
    extractor: nn.Module, levels: Sequence[torch.Tensor], rois: torch.Tensor
) -> torch.Tensor:
    """What mmdet's extractor gives, for which the host waits once instead of once per level."""
    level_of_roi = extractor.map_roi_levels(rois, len(levels))
    order = level_of_roi.argsort(stable=True)
    counts = (level_of_roi[:, None] == torch.arange(len(levels), device=rois.device)).sum(0)
    size = extractor.roi_layers[0].output_size
    feats = [rois.new_zeros(0, levels[0].shape[1], *size)]
    unused = []
    for level, layer, some in zip(levels, extractor.roi_layers, rois[order].split(counts.tolist())):
        if len(some):
            feats.append(layer(level.contiguous(), some))
        else:  # in training, all weights have part in the loss, as other processes expect
            unused.append(level)
    gathered = torch.cat(feats)
    if gathered.requires_grad or not len(rois):
        gathered = gathered + sum(level.sum() * 0 for level in unused)
    return torch.empty_like(gathered).index_copy(0, order, gathered)


def _is_sum_of_rows(layer: RoIAlign) -> bool:
    height, width = layer.output_size
    return (
        height == width and layer.sampling_ratio > 0 and layer.aligned and layer.pool_mode == 'avg'
    )


def roi_align_rows(
    level: torch.Tensor, rois: torch.Tensor, scale: float, size: int, sampling_ratio: int
) -> torch.Tensor:
    """mmcv's RoIAlign (average, aligned) with G x G samples per output cell.

    Args:
        level: [N, C, H, W]; read without a copy when in channels-last memory.
        rois: [R, 5] = (frame, x1 y1 x2 y2 in pixels).
        scale: cells per pixel.
        size: P.
        sampling_ratio: G.

    Returns:
        [R, P, P, C].
    """
    num_frames, channels, height, width = level.shape
    table = level.permute(0, 2, 3, 1).reshape(num_frames * height * width, channels)
    rois = rois.detach()  # mmcv's RoIAlign has no gradient for the boxes either
    x1, y1, x2, y2 = (rois[:, 1:] * scale - 0.5).unbind(1)
    columns, column_weights = _axis_samples(x1, x2, width, size, sampling_ratio)
    lines, line_weights = _axis_samples(y1, y2, height, size, sampling_ratio)
    first = rois[:, 0].int() * (height * width)
    # [R,P,1,2G,1] and [R,1,P,1,2G] -> [R*P*P, 4*G*G]
    rows = first[:, None, None, None, None] + lines[:, :, None, :, None] * width
    rows = (rows + columns[:, None, :, None, :]).flatten(0, 2).flatten(1)
    weights = line_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
    weights = (weights / sampling_ratio**2).flatten(0, 2).flatten(1)
    pooled = F.embedding_bag(rows, table, per_sample_weights=weights, mode='sum')
    return pooled.view(len(rois), size, size, channels)


def _axis_samples(
    low: torch.Tensor, high: torch.Tensor, cells: int, size: int, sampling_ratio: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bilinear samples along one axis.

    Args:
        low, high: [R], the RoI's ends in cells.
        cells: length of the axis.

    Returns:
        Cells [R, P, 2G] (int32) and their weights [R, P, 2G]; a sample outside the map weighs 0.
    """
    # Summed in mmcv's order, so that positions agree to the last bit.
    bins = ((high - low) / size)[:, None, None]  # [R,1,1]
    starts = low[:, None, None] + bins * torch.arange(size, device=low.device)[:, None]
    steps = torch.arange(sampling_ratio, device=low.device) + 0.5
    positions = starts + steps * bins / sampling_ratio  # [R,P,G]
    inside = (positions >= -1) & (positions <= cells)
    positions = positions.clamp(0, cells - 1)
    lower = positions.int()
    upper = (lower + 1).clamp(max=cells - 1)
    share = positions - lower
    weights = torch.stack([1 - share, share], dim=-1) * inside[..., None]
    return torch.stack([lower, upper], dim=-1).flatten(2), weights.flatten(2)
