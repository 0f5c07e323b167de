"""Attention across the frames of a clip: of feature maps, scale by scale, and of box queries.

Thawakar et al., "Video Instance Segmentation via Multi-scale Spatio-temporal Split Attention
Transformer", ECCV 2022, sections 3.1 and 3.2. The authors never released these layers; what their
text and figure leave open is this project's choice: see ``configs/ms_sts/README.md``.

Letters: B clips, T frames, R frames attended to, N places (cells or queries), P = B*N places of
all clips, L levels, S = sum(H_l * W_l) cells, S' cells of the coarser levels, C channels,
D reduced channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.registry import ATTENTION
from mmcv.cnn.bricks.transformer import FFN
from mmcv.runner import BaseModule
from torch import nn

from .clip_ops import fold_frames, unfold_frames
from .deform_attention import Shapes

# The most places in one attention call: CUDA's memory-efficient kernel counts them in 16 bits
# (torch 2.6 to 2.8).
PLACES_PER_KERNEL = 65_535


class TemporalAttention(BaseModule):
    """Multi-head attention across frames, at each place separately.

    Frames have no position in time: permuted frames give permuted outputs.

    Args:
        embed_dims: C.
        num_heads: of the attention.
        head_dims: channels of a head.
        bias: of the projections to queries, keys and values.
    """

    def __init__(self, embed_dims: int, num_heads: int, head_dims: int, bias: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        inner = num_heads * head_dims
        self.query_proj = nn.Linear(embed_dims, inner, bias=bias)
        self.key_value_proj = nn.Linear(embed_dims, 2 * inner, bias=bias)
        self.output_proj = nn.Linear(inner, embed_dims)

    def forward(
        self, queries: torch.Tensor, keys: torch.Tensor, visible: torch.Tensor | None
    ) -> torch.Tensor:
        """Returns the attention of each query to its own place in all frames: [B, T, N, C].

        Args:
            queries: [B, T, N, C].
            keys: [B, R, N, C], also the values.
            visible: [B, R, N] bool, False on keys that no query attends to; None if all are
                visible. A place without a visible key attends to all of its keys.
        """
        projected = [self.query_proj(queries), *self.key_value_proj(keys).chunk(2, dim=-1)]
        # [B, T, N, channels] -> [B*N, heads, T, channels of a head]
        query_key_value = [
            tensor.unflatten(3, (self.num_heads, -1)).permute(0, 2, 3, 1, 4).flatten(0, 1)
            for tensor in projected
        ]
        mask = None
        if visible is not None:
            visible = visible | ~visible.any(1, keepdim=True)
            mask = visible.transpose(1, 2).flatten(0, 1)[:, None, None]  # [B*N, 1, 1, R]
        attended = attend_by_parts(query_key_value, mask)
        attended = attended.unflatten(0, (len(queries), -1)).permute(0, 3, 1, 2, 4).flatten(3)
        return self.output_proj(attended)


def attend_by_parts(
    query_key_value: Sequence[torch.Tensor],
    mask: torch.Tensor | None,
    places_per_call: int = PLACES_PER_KERNEL,
) -> torch.Tensor:
    """Returns scaled dot-product attention [P, heads, T, D], computed for a part at a time.

    Args:
        query_key_value: queries [P, heads, T, D], keys and values [P, heads, R, D].
        mask: [P, 1, 1, R] bool, False on keys that are not attended to, or None.
        places_per_call: the most places in one call of the kernel.
    """
    if len(query_key_value[0]) <= places_per_call:
        return F.scaled_dot_product_attention(*query_key_value, attn_mask=mask)
    parts = [tensor.split(places_per_call) for tensor in query_key_value]
    masks = [None] * len(parts[0]) if mask is None else mask.split(places_per_call)
    return torch.cat(
        [
            F.scaled_dot_product_attention(*part, attn_mask=part_mask)
            for *part, part_mask in zip(*parts, masks)
        ]
    )


@ATTENTION.register_module()
class SplitAttention(BaseModule):
    """Attention across time within each scale, then between a scale and the next coarser one.

    It serves as ``mixer`` of ``DeformEncoderLayer``. All scales use the same weights. The last
    projection starts at zero, so that a new layer adds nothing. The cost is linear in the number
    of cells.

    Args:
        embed_dims: C.
        num_heads: of both attentions.
        head_dims: channels of a head; D = num_heads * head_dims.
        feedforward_channels: of both FFNs.
        dropout: probability.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        head_dims: int,
        feedforward_channels: int,
        dropout: float,
    ) -> None:
        super().__init__()
        hidden_dims = num_heads * head_dims
        self.reduction = nn.Linear(embed_dims, hidden_dims)
        self.intra_attn = TemporalAttention(hidden_dims, num_heads, head_dims)
        self.intra_norm = nn.LayerNorm(hidden_dims)
        self.intra_ffn = FFN(hidden_dims, feedforward_channels, ffn_drop=dropout)
        self.pair_proj = nn.Linear(hidden_dims, hidden_dims)
        self.pair_norm = nn.LayerNorm(hidden_dims)
        self.inter_attn = TemporalAttention(hidden_dims, num_heads, head_dims)
        self.inter_norm = nn.LayerNorm(hidden_dims)
        self.inter_ffn = FFN(hidden_dims, feedforward_channels, ffn_drop=dropout)
        self.expansion = nn.Linear(hidden_dims, embed_dims)
        self.dropout = nn.Dropout(dropout)

    def init_weights(self) -> None:
        """Initialises each part; the last projection is zero."""
        super().init_weights()
        nn.init.zeros_(self.expansion.weight)
        nn.init.zeros_(self.expansion.bias)

    def forward(
        self, queries: torch.Tensor, padding: torch.Tensor | None, shapes: Shapes
    ) -> torch.Tensor:
        """Returns what is added to the encoder layer's attention: [B, T, S, C].

        Args:
            queries: [B, T, S, C], features with position.
            padding: [B, T, S] bool, True on cells outside the images; None if nothing is padded.
            shapes: (H_l, W_l) of the levels, the finest first.
        """
        visible = None if padding is None else ~padding
        tokens = self._within_scales(self.reduction(queries), visible)
        return self.expansion(self._between_scales(tokens, visible, shapes))

    def _within_scales(self, tokens: torch.Tensor, visible: torch.Tensor | None) -> torch.Tensor:
        """Returns tokens [B, T, S, D] after each cell attended to itself in all frames."""
        attended = self.intra_attn(tokens, tokens, visible)
        return self.intra_ffn(self.intra_norm(tokens + self.dropout(attended)))

    def _between_scales(
        self, tokens: torch.Tensor, visible: torch.Tensor | None, shapes: Shapes
    ) -> torch.Tensor:
        """Returns tokens [B, T, S, D] after each cell attended to itself and the coarser scale."""
        projected = self.pair_proj(tokens)
        # Projecting before resizing gives the same as projecting after it, for less.
        num_coarser = sum(height * width for height, width in shapes[1:] or shapes)
        coarser = projected[:, :, -num_coarser:]
        if visible is None:
            coarser = upsample_coarser_levels(coarser, shapes)
        else:
            coarser, coarser_visible = upsample_coarser_levels_masked(
                coarser, visible[:, :, -num_coarser:], shapes
            )
            visible = torch.cat([visible, coarser_visible], 1)
        queries = self.pair_norm(projected)
        keys = torch.cat([queries, self.pair_norm(coarser)], 1)  # [B, 2T, S, D]
        attended = self.inter_attn(queries, keys, visible)
        return self.inter_ffn(self.inter_norm(queries + self.dropout(attended)))


def upsample_coarser_levels(tokens: torch.Tensor, shapes: Shapes) -> torch.Tensor:
    """Returns the next coarser level, resized bilinearly to each level's grid: [B, T, S, D].

    The coarsest level has no coarser one and is returned as it is.

    Args:
        tokens: [B, T, S', D] of the levels from the second on, or of the only one.
        shapes: (H_l, W_l) of all levels, the finest first.
    """
    coarse = shapes[1:] or shapes
    levels = tokens.split([height * width for height, width in coarse], dim=2)
    resized = []
    for level, size, finer in zip(levels, coarse, shapes[:-1]):
        maps = fold_frames(level).unflatten(1, size).permute(0, 3, 1, 2)
        maps = F.interpolate(maps, finer, mode='bilinear', align_corners=False)
        resized.append(unfold_frames(maps.flatten(2).transpose(1, 2), len(tokens)))
    return torch.cat([*resized, levels[-1]], 2)


def upsample_coarser_levels_masked(
    tokens: torch.Tensor, visible: torch.Tensor, shapes: Shapes
) -> tuple[torch.Tensor, torch.Tensor]:
    """Resizes as ``upsample_coarser_levels``, but only cells of the image contribute.

    Args:
        tokens: [B, T, S', D].
        visible: [B, T, S'] bool, False on cells outside the images.
        shapes: (H_l, W_l) of all levels.

    Returns:
        [B, T, S, D] tokens and [B, T, S] bool, False where no cell of the image contributes.
    """
    weighted = torch.cat([tokens, torch.ones_like(tokens[..., :1])], -1) * visible[..., None]
    sums, weight = upsample_coarser_levels(weighted, shapes).split([tokens.shape[-1], 1], dim=-1)
    return sums / weight.clamp(min=torch.finfo(weight.dtype).tiny), weight[..., 0] > 0


@ATTENTION.register_module()
class BoxTemporalAttention(BaseModule):
    """Attention of each box query to itself in all frames, with residual and pre-norm.

    It serves as ``box_mixer`` of ``ClipDecoderLayer``. The last projection starts at zero, so that
    a new layer changes nothing.

    Args:
        embed_dims: C.
        num_heads: of the attention.
        head_dims: channels of a head.
        dropout: probability.
    """

    def __init__(self, embed_dims: int, num_heads: int, head_dims: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(embed_dims)
        self.attn = TemporalAttention(embed_dims, num_heads, head_dims, bias=False)
        self.dropout = nn.Dropout(dropout)

    def init_weights(self) -> None:
        """Initialises each part; the last projection is zero."""
        super().init_weights()
        nn.init.zeros_(self.attn.output_proj.weight)
        nn.init.zeros_(self.attn.output_proj.bias)

    def forward(self, box_queries: torch.Tensor) -> torch.Tensor:
        """Returns new box queries [B, T, Q, C] for box queries of the same shape."""
        normed = self.norm(box_queries)
        return box_queries + self.dropout(self.attn(normed, normed, None))
