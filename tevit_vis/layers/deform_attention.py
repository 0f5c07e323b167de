"""Multi-scale deformable attention on folded frames.

Zhu et al., "Deformable DETR", ICLR 2021, section 4.1.

Letters: N frames of all clips, Q queries of a frame, L levels, S = sum(H_l * W_l) cells, M heads,
P points, C channels, D = C / M.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.registry import ATTENTION
from mmcv.ops import MultiScaleDeformableAttention
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

from .clip_ops import constant
from .cuda_ops import has_cuda_ops
from .exporting import is_exporting
from .precision import at_least_fp32

Shapes = Sequence[tuple[int, int]]  # (H_l, W_l) of the levels
FRAMES_PER_KERNEL = 64  # the most frames in one launch of mmcv's CUDA kernel


@ATTENTION.register_module()
class DeformAttention(MultiScaleDeformableAttention):
    """mmcv's deformable attention without its last step, also where mmcv has no kernel.

    ``forward`` returns what was sampled, without output projection, residual and dropout. A caller
    applies ``output_proj`` and may apply other projections as well.

    Args:
        embed_dims: C.
        num_heads, num_levels, num_points: M, L and P.
    """

    def __init__(self, embed_dims: int, num_heads: int, num_levels: int, num_points: int) -> None:
        super().__init__(embed_dims, num_heads, num_levels, num_points, dropout=0.0)

    def forward(
        self,
        query: torch.Tensor,
        memory: torch.Tensor,
        references: torch.Tensor,
        shapes: Shapes,
        padding: torch.Tensor | None,
    ) -> torch.Tensor:
        """What the queries sample, before the output projection: [N, Q, C].

        Args:
            query: [N, Q, C], with its position.
            memory: [N, S, C], the cells that are sampled, level after level.
            references: [N, Q, L, 4], centre x y, width and height of the box about which to sample,
                relative to each level; a zero size makes it a point.
            shapes: (H_l, W_l) of the levels.
            padding: [N, S] bool, True on cells outside the images; None if there are none.
        """
        points_shape = self.num_heads, self.num_levels, self.num_points
        value = self.value_proj(memory)
        if padding is not None:
            value = value.masked_fill(padding[..., None], 0.0)
        value = at_least_fp32(value.unflatten(2, (self.num_heads, -1)))
        offsets = at_least_fp32(self.sampling_offsets(query).unflatten(2, (*points_shape, 2)))
        weights = at_least_fp32(self.attention_weights(query).unflatten(2, (self.num_heads, -1)))
        weights = weights.softmax(-1).unflatten(3, points_shape[1:])
        locations = sampling_locations(at_least_fp32(references), offsets, shapes)
        sample = sample_by_kernel if has_cuda_ops(value.device) else sample_by_rows
        sample = sample_by_gather if is_exporting() else sample
        return sample(value, shapes, locations, weights).to(memory.dtype)


def sampling_locations(
    references: torch.Tensor, offsets: torch.Tensor, shapes: Shapes
) -> torch.Tensor:
    """Returns where each point samples: [N, Q, M, L, P, 2], x y relative to each level.

    The unit of an offset is a cell of the level where the reference is a point, and 1 / (2 P) of
    the box's size where it is a box.

    Args:
        references: [N, Q, L, 4], see ``DeformAttention``.
        offsets: [N, Q, M, L, P, 2].
        shapes: (H_l, W_l) of the levels.

    Example:
        >>> point = torch.tensor([0.5, 0.5, 0.0, 0.0]).view(1, 1, 1, 4)
        >>> one_cell_right = torch.tensor([1.0, 0.0]).view(1, 1, 1, 1, 1, 2)
        >>> sampling_locations(point, one_cell_right, [(2, 4)]).flatten().tolist()
        [0.75, 0.5]
    """
    level_sizes = tuple((width, height) for height, width in shapes)
    level_sizes = constant(level_sizes, offsets.dtype, offsets.device)  # [L, 2]
    centres, box_sizes = references[:, :, None, :, None].split(2, dim=-1)
    box_units = box_sizes * (0.5 / offsets.shape[4])
    steps = torch.where(box_sizes > 0, box_units, 1 / level_sizes[:, None])
    return torch.addcmul(centres, offsets, steps)


def sample_by_kernel(
    value: torch.Tensor, shapes: Shapes, locations: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Returns what ``sample_by_rows`` returns, computed by mmcv's CUDA kernel."""
    sizes = constant(tuple(shapes), torch.long, value.device)
    areas = sizes.prod(1)
    starts = areas.cumsum(0) - areas
    sampled = []
    # The kernel always runs on the current GPU, so that of the tensors is made current.
    with torch.cuda.device_of(value):
        for some_values, some_locations, some_weights in zip(
            *(tensor.split(FRAMES_PER_KERNEL) for tensor in (value, locations, weights))
        ):
            sampled.append(
                MultiScaleDeformableAttnFunction.apply(
                    some_values.contiguous(),
                    sizes,
                    starts,
                    some_locations.contiguous(),
                    some_weights.contiguous(),
                    len(some_values),  # frames in one launch; must divide the number of frames
                )
            )
    return torch.cat(sampled)


def sample_by_rows(
    value: torch.Tensor, shapes: Shapes, locations: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Returns the weighted sums of bilinear samples.

    Each query and head sums 4 L P cells. ``embedding_bag`` reads only those cells, which takes a
    quarter of the time of one ``grid_sample`` per level.

    Args:
        value: [N, S, M, D].
        shapes: (H_l, W_l) of the levels.
        locations: [N, Q, M, L, P, 2], x y relative to each level.
        weights: [N, Q, M, L, P].

    Returns:
        [N, Q, M * D].
    """
    num_frames, num_cells, num_heads, _ = value.shape
    head = torch.arange(num_heads, dtype=torch.int32, device=value.device)
    head = head.view(1, num_heads, 1, 1, 1)  # of [Q, M, 4, L, P]
    sampled = []
    for frame in range(num_frames):  # one at a time, so that its rows stay in the CPU's cache
        cells, cell_weights = corner_cells(locations[frame], weights[frame], shapes)
        rows = (cells * num_heads).add_(head)
        sums = F.embedding_bag(
            rows.flatten(0, 1).flatten(1),
            value[frame].reshape(num_cells * num_heads, -1),
            mode='sum',
            per_sample_weights=cell_weights.flatten(0, 1).flatten(1),
        )
        sampled.append(sums.view(len(rows), -1))
    return torch.stack(sampled)


def sample_by_gather(
    value: torch.Tensor, shapes: Shapes, locations: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Returns what ``sample_by_rows`` returns, by operators that every runtime of graphs has.

    One level after the other is gathered, which bounds memory.

    Example:
        >>> value, point = torch.arange(4.0).view(1, 4, 1, 1), torch.tensor([0.5, 0.25])
        >>> point, weight = point.view(1, 1, 1, 1, 1, 2), torch.ones(1, 1, 1, 1, 1)
        >>> sample_by_gather(value, [(2, 2)], point, weight).tolist()
        [[[0.5]]]
    """
    num_frames, num_cells, num_heads, channels = value.shape
    table = value.flatten(0, 2)  # [N * S * M, D]
    frame = torch.arange(num_frames, device=value.device).view(num_frames, 1, 1, 1)
    head = torch.arange(num_heads, device=value.device).view(num_heads, 1)
    sampled: torch.Tensor | float = 0.0
    first_cell = 0
    for level, (height, width) in enumerate(shapes):
        cells, cell_weights = corner_cells(
            locations[:, :, :, level, None].flatten(0, 1),
            weights[:, :, :, level, None].flatten(0, 1),
            [(height, width)],
        )  # [N * Q, M, 4, 1, P] each
        cells = cells.flatten(2).unflatten(0, (num_frames, -1)).long() + first_cell
        rows = ((frame * num_cells + cells) * num_heads + head).flatten()
        corners = table.index_select(0, rows).view(-1, cell_weights[0, 0].numel(), channels)
        sampled = sampled + cell_weights.flatten(2).flatten(0, 1)[:, None] @ corners
        first_cell += height * width
    return sampled.view(num_frames, -1, num_heads * channels)


def corner_cells(
    locations: torch.Tensor, weights: torch.Tensor, shapes: Shapes
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the four cells about each point and their weights, [Q, M, 4, L, P] each.

    Args:
        locations: [Q, M, L, P, 2], x y relative to each level.
        weights: [Q, M, L, P].
        shapes: (H_l, W_l) of the levels.

    Returns:
        Indices of the cells (int32) and their bilinear weights times ``weights`` (float).
    """
    sizes = constant(tuple(shapes), torch.int32, locations.device)
    heights, widths = sizes[:, :1], sizes[:, 1:]  # [L, 1]
    areas = heights * widths
    starts = (areas.cumsum(0) - areas).int()
    x_cells, x_weights = neighbour_cells(locations[..., 0], widths)
    y_cells, y_weights = neighbour_cells(locations[..., 1], heights)
    cells, cell_weights = [], []
    for y, y_weight in zip(y_cells, y_weights):
        row_start = y.mul_(widths).add_(starts)
        row_weight = y_weight * weights
        cells += [row_start + x for x in x_cells]
        cell_weights += [row_weight * x_weight for x_weight in x_weights]
    return torch.stack(cells, 2), torch.stack(cell_weights, 2)


def neighbour_cells(
    locations: torch.Tensor, size: torch.Tensor
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Returns the cells before and after each location along one axis, and their weights.

    A cell outside the map has weight 0, and its index is clamped to the map.

    Args:
        locations: [Q, M, L, P], 0 to 1 over the map.
        size: [L, 1] int32, cells of the map.

    Example:
        >>> cells, weights = neighbour_cells(torch.tensor([[[[0.375]]]]), torch.tensor([[4]]))
        >>> [cell.item() for cell in cells], [weight.item() for weight in weights]
        ([1, 2], [1.0, 0.0])
    """
    # A location two cells outside the map has no cell on it. Clamping to there changes nothing,
    # but keeps the indices small when training diverges.
    points = (locations * size).sub_(0.5).clamp(min=-2.0).minimum(size + 1.0)
    floor = points.detach().floor()
    after_weight = points - floor
    before = floor.to(torch.int32)
    after = before + 1
    cells = [torch.minimum(cell.clamp(min=0), size - 1) for cell in (before, after)]
    weights = [
        weight.masked_fill(cell != clamped, 0.0)
        for weight, cell, clamped in zip((1 - after_weight, after_weight), (before, after), cells)
    ]
    return cells, weights
