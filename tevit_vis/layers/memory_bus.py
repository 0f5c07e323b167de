"""IFC's encoder, in which frames exchange information by memory tokens, and its clip decoder.

Hwang et al., "Video Instance Segmentation using Inter-Frame Communication Transformers",
NeurIPS 2021, section 3.2.

Letters: B clips, T frames, S cells of a frame, M memory tokens of a frame, Q queries, C channels,
N sequences of L tokens.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from mmcv.cnn.bricks.transformer import FFN
from mmcv.runner import BaseModule, ModuleList
from torch import nn

from .attention import ResidualAttention
from .clip_ops import fold_frames, unfold_frames


class FrameMemory(NamedTuple):
    """The encoded cells and memory tokens of clips."""

    cells: torch.Tensor  # [B, T, S, C]
    tokens: torch.Tensor  # [B, T, M, C]


class PostNormLayer(BaseModule):
    """A transformer layer: self-attention, then an FFN, each with residual and post-norm.

    Args:
        embed_dims: C.
        num_heads: of the attention.
        feedforward_channels: of the FFN.
        dropout: probability.
    """

    def __init__(
        self, embed_dims: int, num_heads: int, feedforward_channels: int, dropout: float
    ) -> None:
        super().__init__()
        self.attention = ResidualAttention(embed_dims, num_heads, dropout)
        self.norm1 = nn.LayerNorm(embed_dims)
        self.ffn = FFN(embed_dims, feedforward_channels, ffn_drop=dropout)
        self.norm2 = nn.LayerNorm(embed_dims)

    def forward(
        self,
        x: torch.Tensor,
        position: torch.Tensor | None,
        padding: torch.Tensor | None,
    ) -> torch.Tensor:
        """New tokens [N, L, C].

        Args:
            x: [N, L, C].
            position: [N, L, C] of queries and keys.
            padding: [N, L] bool, True for keys that are not attended to.
        """
        x = self.norm1(self.attention(x, query_pos=position, key_padding_mask=padding))
        return self.norm2(self.ffn(x))


class MemoryBusEncoder(BaseModule):
    """An encoder whose frames exchange information through memory tokens.

    In each layer the cells and memory tokens of a frame attend to each other. Then each memory
    token attends to its copies in all frames.

    Args:
        num_layers: number of layers.
        num_tokens: M.
        embed_dims: C.
        layer: further arguments of ``PostNormLayer``.
    """

    def __init__(self, num_layers: int, num_tokens: int, embed_dims: int, **layer) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.empty(num_tokens, embed_dims))
        self.token_position = nn.Parameter(torch.empty(num_tokens, embed_dims))
        self.frame_layers = ModuleList(
            [PostNormLayer(embed_dims, **layer) for _ in range(num_layers)]
        )
        self.bus_layers = ModuleList(
            [PostNormLayer(embed_dims, **layer) for _ in range(num_layers)]
        )

    def init_weights(self) -> None:
        """Draws Xavier's weights for matrices and Kaiming's for the tokens."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        nn.init.kaiming_normal_(self.tokens, mode='fan_out')
        nn.init.kaiming_normal_(self.token_position, mode='fan_out')

    def forward(
        self, cells: torch.Tensor, position: torch.Tensor, padding: torch.Tensor | None
    ) -> FrameMemory:
        """Encodes the frames of clips.

        Args:
            cells: [B, T, S, C].
            position: [B, T, S, C].
            padding: [B, T, S] bool, True on cells outside the images; None if nothing is padded.
        """
        num_clips, num_frames, num_cells = cells.shape[:3]
        tokens = self.tokens.expand(num_clips, num_frames, -1, -1)
        token_position = self.token_position.expand_as(tokens)
        positions = fold_frames(torch.cat([position, token_position], 2))
        paddings = None
        if padding is not None:
            no_padding = padding.new_zeros(tokens.shape[:3])
            paddings = fold_frames(torch.cat([padding, no_padding], 2))
        for frame_layer, bus_layer in zip(self.frame_layers, self.bus_layers):
            frames = fold_frames(torch.cat([cells, tokens], 2))  # [B*T, S + M, C]
            frames = unfold_frames(frame_layer(frames, positions, paddings), num_clips)
            cells, tokens = frames[:, :, :num_cells], frames[:, :, num_cells:]
            # PARITY(IFC): a token attends to itself in the other frames, not to other tokens.
            bus = bus_layer(fold_frames(tokens.transpose(1, 2)), None, None)  # [B*M, T, C]
            tokens = unfold_frames(bus, num_clips).transpose(1, 2)
        return FrameMemory(cells, tokens)


class ClipQueryLayer(BaseModule):
    """DETR's decoder layer: queries attend to each other, then to the clip; then an FFN.

    Args: as of ``PostNormLayer``.
    """

    def __init__(
        self, embed_dims: int, num_heads: int, feedforward_channels: int, dropout: float
    ) -> None:
        super().__init__()
        self.self_attn = ResidualAttention(embed_dims, num_heads, dropout)
        self.cross_attn = ResidualAttention(embed_dims, num_heads, dropout)
        self.ffn = FFN(embed_dims, feedforward_channels, ffn_drop=dropout)
        self.norms = ModuleList([nn.LayerNorm(embed_dims) for _ in range(3)])

    def forward(
        self,
        x: torch.Tensor,
        query_position: torch.Tensor,
        memory: torch.Tensor,
        position: torch.Tensor,
        padding: torch.Tensor | None,
    ) -> torch.Tensor:
        """New queries [B, Q, C].

        Args:
            x, query_position: [B, Q, C].
            memory, position: [B, L, C] of all frames.
            padding: [B, L] bool, or None.
        """
        x = self.norms[0](self.self_attn(x, query_pos=query_position))
        attended = self.cross_attn(
            x,
            memory,
            memory,
            query_pos=query_position,
            key_pos=position,
            key_padding_mask=padding,
        )
        return self.norms[2](self.ffn(self.norms[1](attended)))


class ClipQueryDecoder(BaseModule):
    """A decoder whose queries attend to all cells and memory tokens of a clip.

    Args:
        num_layers: number of layers.
        num_queries: Q.
        embed_dims: C.
        layer: further arguments of ``ClipQueryLayer``.
    """

    def __init__(self, num_layers: int, num_queries: int, embed_dims: int, **layer) -> None:
        super().__init__()
        self.query_position = nn.Embedding(num_queries, embed_dims)
        self.layers = ModuleList([ClipQueryLayer(embed_dims, **layer) for _ in range(num_layers)])
        self.norm = nn.LayerNorm(embed_dims)

    def init_weights(self) -> None:
        """Draws Xavier's weights for matrices."""
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(
        self, memory: torch.Tensor, position: torch.Tensor, padding: torch.Tensor | None
    ) -> list[torch.Tensor]:
        """Returns the normalised queries [B, Q, C] after each layer.

        Args:
            memory, position: [B, L, C] of all frames.
            padding: [B, L] bool, or None.
        """
        query_position = self.query_position.weight.expand(len(memory), -1, -1)
        queries = torch.zeros_like(query_position)
        outputs = []
        for layer in self.layers:
            queries = layer(queries, query_position, memory, position, padding)
            outputs.append(self.norm(queries))
        return outputs
