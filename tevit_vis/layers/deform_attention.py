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

Shapes = Sequence[tuple[int, int]]  # (H_l, W_l) of the levels
FRAMES_PER_KERNEL = 64  # of mmcv's CUDA kernel, at most


@ATTENTION.register_module()
class DeformAttention(MultiScaleDeformableAttention):
    """mmcv's attention with its output projection apart, and a form of its own where mmcv has no
    kernel.

    ``forward`` returns what was sampled, so that more than one projection may follow:
    ``output_proj`` is the first. Neither residual nor dropout are in it.

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
        padding: torch.Tensor,
    ) -> torch.Tensor:
        """What the queries sample, before the output projection: [N, Q, C].

        Args:
            query: [N, Q, C], with its position.
            memory: [N, S, C] that is sampled, level after level.
            references: [N, Q, L, 4], centre x y and width and height of the box about which to
                sample, as shares of each level's size; zero sizes stand for points.
            shapes: of the levels.
            padding: [N, S] bool, True on cells of no image.
        """
        heads = self.num_heads, self.num_levels, self.num_points
        value = self.value_proj(memory).masked_fill(padding[..., None], 0.0)
        value = value.unflatten(2, (self.num_heads, -1)).float()
        offsets = self.sampling_offsets(query).unflatten(2, (*heads, 2)).float()
        weights = self.attention_weights(query).unflatten(2, (self.num_heads, -1)).float()
        weights = weights.softmax(-1).unflatten(3, heads[1:])
        locations = sampling_locations(references.float(), offsets, shapes)
        sample = sample_by_kernel if has_cuda_ops(value.device) else sample_by_rows
        return sample(value, shapes, locations, weights).to(memory.dtype)


def sampling_locations(
    references: torch.Tensor, offsets: torch.Tensor, shapes: Shapes
) -> torch.Tensor:
    """Where each point samples: [N, Q, M, L, P, 2], x y as shares of each level's size.

    Offsets about a point are in cells of the level; about a box, in 1 / (2 P) of its size.

    Args:
        references: [N, Q, L, 4], see ``DeformAttention``.
        offsets: [N, Q, M, L, P, 2].
    """
    sizes = tuple((width, height) for height, width in shapes)
    cells = constant(sizes, offsets.dtype, offsets.device)  # [L, 2]
    centres, sizes = references[:, :, None, :, None].split(2, dim=-1)
    steps = torch.where(sizes > 0, sizes * (0.5 / offsets.shape[4]), 1 / cells[:, None])
    return torch.addcmul(centres, offsets, steps)


def sample_by_kernel(
    value: torch.Tensor, shapes: Shapes, locations: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """mmcv's kernel; arguments and result as of ``sample_by_rows``."""
    sizes = constant(tuple(shapes), torch.long, value.device)
    cells = sizes.prod(1)
    starts = cells.cumsum(0) - cells
    sampled = []
    # The kernel runs on the current GPU, whichever the tensors are on.
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
                    len(some_values),  # frames in one launch, which must divide them
                )
            )
    return torch.cat(sampled)


def sample_by_rows(
    value: torch.Tensor, shapes: Shapes, locations: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Bilinear samples, weighted and summed.

    Each query and head is a bag of 4 L P cells: `embedding_bag` reads only those, which takes a
    quarter of the time of a `grid_sample` per level.

    Args:
        value: [N, S, M, D].
        shapes: of the levels.
        locations: [N, Q, M, L, P, 2], x y as shares of each level's size.
        weights: [N, Q, M, L, P].

    Returns:
        [N, Q, M * D].
    """
    num_frames, num_cells, num_heads, _ = value.shape
    head = torch.arange(num_heads, dtype=torch.int32, device=value.device)
    head = head.view(1, num_heads, 1, 1, 1)  # of [Q, M, 4, L, P]
    sampled = []
    for frame in range(num_frames):  # a frame's rows and weights stay in the cache
        rows, shares = corner_cells(locations[frame], weights[frame], shapes)
        rows = (rows * num_heads).add_(head)
        bags = F.embedding_bag(
            rows.flatten(0, 1).flatten(1),
            value[frame].reshape(num_cells * num_heads, -1),
            mode='sum',
            per_sample_weights=shares.flatten(0, 1).flatten(1),
        )
        sampled.append(bags.view(len(rows), -1))
    return torch.stack(sampled)


def corner_cells(
    locations: torch.Tensor, weights: torch.Tensor, shapes: Shapes
) -> tuple[torch.Tensor, torch.Tensor]:
    """The four cells about each point, and the share of each: [Q, M, 4, L, P] int32 and float.

    Args:
        locations: [Q, M, L, P, 2].
        weights: [Q, M, L, P].
    """
    sizes = constant(tuple(shapes), torch.int32, locations.device)
    heights, widths = sizes[:, :1], sizes[:, 1:]  # [L, 1]
    areas = heights * widths
    starts = (areas.cumsum(0) - areas).int()
    columns, column_shares = neighbours(locations[..., 0], widths)
    lines, line_shares = neighbours(locations[..., 1], heights)
    rows, shares = [], []
    for line, line_share in zip(lines, line_shares):
        row = line.mul_(widths).add_(starts)
        share = line_share * weights
        rows += [row + column for column in columns]
        shares += [share * column_share for column_share in column_shares]
    return torch.stack(rows, 2), torch.stack(shares, 2)


def neighbours(
    places: torch.Tensor, size: torch.Tensor
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The cell before and the cell after each place along one axis, and their shares.

    A cell beyond the map has no share, and the number of one on it.

    Args:
        places: [Q, M, L, P], 0 to 1 over the map.
        size: [L, 1] int32, cells of the map.
    """
    # Two cells beyond the map nothing is inside: where training diverges, numbers stay small.
    points = (places * size).sub_(0.5).clamp(min=-2.0).minimum(size + 1.0)
    first = points.detach().floor()
    second_share = points - first
    before = first.to(torch.int32)
    after = before + 1
    cells = [torch.minimum(cell.clamp(min=0), size - 1) for cell in (before, after)]
    shares = [
        share.masked_fill(cell != kept, 0.0)
        for share, cell, kept in zip((1 - second_share, second_share), (before, after), cells)
    ]
    return cells, shares
