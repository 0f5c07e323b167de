"""Decoder with one query per instance for the clip, and a box query for each of its frames.

Wu et al., "SeqFormer: Sequential Transformer for Video Instance Segmentation", ECCV 2022,
section 3.2.

Letters: B clips, T frames, Q queries, L levels, S cells, C channels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from mmcv.cnn.bricks.transformer import FFN, build_attention
from mmcv.runner import BaseModule, ModuleList
from mmdet.models.utils.transformer import inverse_sigmoid
from torch import nn

from .attention import ResidualAttention
from .clip_ops import fold_frames, unfold_frames
from .deform_encoder import ClipTokens
from .mlp import mlp
from .precision import FullPrecisionLinear, full_precision


class DecoderLayerOutput(NamedTuple):
    """The outputs of one decoder layer."""

    instances: torch.Tensor  # [B, Q, C]
    boxes: torch.Tensor  # [B, T, Q, 4] centre x y, width, height, relative to the image
    references: torch.Tensor  # [B, T, Q, 2] centre x y of the boxes that the layer refined


class ClipDecoderLayer(BaseModule):
    """A decoder layer on instance queries (one per instance) and box queries (one per frame).

    Both attend to themselves. The box queries then sample each frame by deformable attention, and
    the instance queries receive the weighted mean of these samples over the frames.

    Args:
        embed_dims: C.
        num_heads: of the self-attentions.
        feedforward_channels: of both FFNs.
        dropout: probability.
        attention: config of ``DeformAttention``, without ``embed_dims``.
        box_mixer: config of a module of mmcv's ATTENTION registry, without ``embed_dims``, or
            None. It takes and returns the box queries [B, T, Q, C], between their self- and
            cross-attention.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        dropout: float,
        attention: dict,
        box_mixer: dict | None = None,
    ) -> None:
        super().__init__()

        self.self_attn = ResidualAttention(embed_dims, num_heads, dropout)
        self.self_attn_box = ResidualAttention(embed_dims, num_heads, dropout)
        self.box_mixer = None
        if box_mixer:
            self.box_mixer = build_attention(dict(box_mixer, embed_dims=embed_dims))
        self.cross_attn = build_attention(dict(attention, embed_dims=embed_dims))
        self.output_proj_box = nn.Linear(embed_dims, embed_dims)
        self.time_weights = nn.Linear(embed_dims, 1)
        self.dropout = nn.Dropout(dropout)
        # In the order of use: after self-attention, cross-attention and FFN.
        self.norms = ModuleList([nn.LayerNorm(embed_dims) for _ in range(3)])
        self.norms_box = ModuleList([nn.LayerNorm(embed_dims) for _ in range(3)])
        self.ffn = FFN(embed_dims, feedforward_channels, ffn_drop=dropout)
        self.ffn_box = FFN(embed_dims, feedforward_channels, ffn_drop=dropout)

    def forward(
        self,
        instances: torch.Tensor,
        box_queries: torch.Tensor,
        position: torch.Tensor,
        memory: ClipTokens,
        references: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns new instance queries [B, Q, C] and box queries [B, T, Q, C].

        Args:
            instances: [B, Q, C].
            box_queries: [B, T, Q, C].
            position: [Q, C] of both kinds of queries.
            memory: encoded tokens.
            references: [B*T, Q, L, 4] boxes about which the box queries sample.
        """
        # Self-attention. Positions are expanded to the queries' shape, since mmcv would otherwise
        # add none to the keys.
        boxes = fold_frames(box_queries)  # [B*T, Q, C]
        attended = self.self_attn(instances, query_pos=position.expand_as(instances))
        instances = self.norms[0](attended)
        boxes = self.norms_box[0](self.self_attn_box(boxes, query_pos=position.expand_as(boxes)))
        if self.box_mixer is not None:
            boxes = fold_frames(self.box_mixer(unfold_frames(boxes, len(instances))))
        # Deformable cross-attention of the box queries to their frames.
        sampled = self.cross_attn(
            boxes + position,
            fold_frames(memory.features),
            references,
            memory.shapes,
            fold_frames(memory.padding),
        )
        boxes = self.norms_box[1](boxes + self.dropout(self.output_proj_box(sampled)))
        boxes = unfold_frames(self.norms_box[2](self.ffn_box(boxes)), len(instances))
        # The instance queries receive the weighted mean over the frames.
        frame_feats = unfold_frames(self.cross_attn.output_proj(sampled), len(instances))
        frame_weights = self.time_weights(boxes).softmax(dim=1)  # [B, T, Q, 1]
        clip_feats = torch.einsum('btqc,btqo->bqc', frame_feats, frame_weights)
        instances = self.norms[1](instances + self.dropout(clip_feats))
        return self.norms[2](self.ffn(instances)), boxes


class ClipDecoder(BaseModule):
    """A stack of decoder layers, each of which refines the boxes of the layer before.

    Args:
        num_layers: number of layers.
        num_queries: Q.
        layer: arguments of ``ClipDecoderLayer``.
    """

    def __init__(self, num_layers: int, num_queries: int, embed_dims: int, **layer) -> None:
        super().__init__()
        self.queries = nn.Embedding(num_queries, 2 * embed_dims)  # position, content
        self.reference_points = FullPrecisionLinear(embed_dims, 2)
        self.layers = ModuleList([ClipDecoderLayer(embed_dims, **layer) for _ in range(num_layers)])
        self.box_branches = ModuleList(
            [mlp(embed_dims, 4, num_layers=3) for _ in range(num_layers)]
        )

    def init_weights(self) -> None:
        """Initialises as Deformable DETR: Xavier for matrices; boxes start small at references."""
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        super().init_weights()
        for layer in self.layers:
            nn.init.zeros_(layer.output_proj_box.bias)  # as mmcv does for output_proj
        nn.init.normal_(self.queries.weight)
        nn.init.xavier_uniform_(self.reference_points.weight)
        nn.init.zeros_(self.reference_points.bias)
        for index, branch in enumerate(self.box_branches):
            nn.init.zeros_(branch[-1].weight)
            nn.init.zeros_(branch[-1].bias)
            if index == 0:
                nn.init.constant_(branch[-1].bias[2:], -2.0)

    def forward(self, memory: ClipTokens) -> list[DecoderLayerOutput]:
        """Returns the outputs of each layer."""
        num_clips, num_frames = memory.features.shape[:2]
        position, content = self.queries.weight.chunk(2, dim=1)
        instances = content.expand(num_clips, -1, -1)
        box_queries = content.expand(num_clips, num_frames, -1, -1)
        points = self.reference_points(position).sigmoid()
        references = torch.cat([points, torch.zeros_like(points)], -1)  # no size yet
        references = references.expand(num_clips, num_frames, -1, -1)
        outputs = []
        for layer, branch in zip(self.layers, self.box_branches):
            ratios = memory.valid_ratios.tile(2)[:, None, None]  # [B, 1, 1, L, 4]
            level_references = fold_frames(references[..., None, :] * ratios)
            instances, box_queries = layer(
                instances, box_queries, position, memory, level_references
            )
            with full_precision(references.device):
                boxes = refine_boxes(branch(box_queries.float()), references)
            outputs.append(DecoderLayerOutput(instances.float(), boxes, references[..., :2]))
            references = boxes.detach()
        return outputs


def refine_boxes(change: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """Returns boxes [..., 4]: references to which a predicted change is added in logit space.

    References with zero size are points: width and height then come from the change alone.

    Example:
        >>> refine_boxes(torch.zeros(4), torch.tensor([0.25, 0.5, 0.0, 0.0])).tolist()
        [0.25, 0.5, 0.5, 0.5]
    """
    centres, sizes = inverse_sigmoid(references).split(2, dim=-1)
    sizes = torch.where(references[..., 2:] > 0, sizes, torch.zeros_like(sizes))
    return (change + torch.cat([centres, sizes], -1)).sigmoid()
