"""Multi-scale deformable encoder of clips, with an optional module that mixes their frames.

Zhu et al., "Deformable DETR", ICLR 2021, section 4.2; per frame as in Wu et al., "SeqFormer",
ECCV 2022, section 3.2.

Letters: B clips, T frames, L levels, S = sum(H_l * W_l) cells, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.transformer import FFN, build_attention
from mmcv.runner import BaseModule, ModuleList
from mmdet.models.utils import SinePositionalEncoding
from torch import nn

from .clip_ops import ClipPadding, constant, fold_frames, unfold_frames
from .deform_attention import Shapes
from .exporting import is_exporting


class ClipTokens(NamedTuple):
    """The feature maps of clips as tokens: the cells of all levels on one axis."""

    features: torch.Tensor  # [B, T, S, C]
    position: torch.Tensor  # [B, T or 1, S, C]
    padding: torch.Tensor  # [B, T, S] bool, True on cells outside the images
    valid_ratios: torch.Tensor  # [B, L, 2] part of each level's width and height that is image
    shapes: Shapes  # (H_l, W_l) of the levels
    has_padding: bool  # whether any cell lies outside the images

    def split(self, size: int) -> list[ClipTokens]:
        """Returns parts of ``size`` frames; the last part may have fewer."""
        num_frames = self.features.shape[1]
        if is_exporting():
            return [self]
        return [self._slice(slice(start, start + size)) for start in range(0, num_frames, size)]

    def _slice(self, frames: slice) -> ClipTokens:
        """Returns the tokens of some frames."""
        is_same_position = self.position.shape[1] == 1  # one position serves all frames
        return self._replace(
            features=self.features[:, frames],
            position=self.position if is_same_position else self.position[:, frames],
            padding=self.padding[:, frames],
        )

    def maps(self, num_levels: int) -> list[torch.Tensor]:
        """Returns the first levels as maps [B, T, C, H_l, W_l] in channels-last memory."""
        areas = [height * width for height, width in self.shapes]
        levels = self.features.split(areas, dim=2)[:num_levels]
        return [
            level.unflatten(2, shape).movedim(4, 2) for level, shape in zip(levels, self.shapes)
        ]


class LevelTokenizer(BaseModule):
    """Turns feature maps into tokens with sine positions and learned embeddings of the levels.

    Args:
        embed_dims: C.
        num_levels: L.
    """

    def __init__(self, embed_dims: int, num_levels: int) -> None:
        super().__init__()
        self.level_embed = nn.Parameter(torch.empty(num_levels, embed_dims))
        self.position = SinePositionalEncoding(embed_dims // 2, normalize=True, offset=-0.5)

    def init_weights(self) -> None:
        """Draws the embeddings of the levels."""
        nn.init.normal_(self.level_embed)

    def forward(self, levels: Sequence[torch.Tensor], padding: ClipPadding) -> ClipTokens:
        """Returns the levels as tokens.

        Args:
            levels: [B, T, C, H_l, W_l] each.
            padding: [B, T, H, W] of the network input.
        """
        shapes = [tuple(level.shape[3:]) for level in levels]
        masks = [F.interpolate(padding.mask.float(), shape).bool() for shape in shapes]
        positions = [  # one frame's position serves all frames that are padded alike
            self._position(mask[:, :1] if padding.is_same_in_all_frames else mask) + embedding
            for mask, embedding in zip(masks, self.level_embed)
        ]
        return ClipTokens(
            features=torch.cat([level.flatten(3).transpose(2, 3) for level in levels], 2),
            position=torch.cat(positions, 2),
            padding=torch.cat([mask.flatten(2) for mask in masks], 2),
            valid_ratios=torch.stack([valid_ratio(mask) for mask in masks], 1),
            shapes=shapes,
            has_padding=padding.has_padding,
        )

    def _position(self, mask: torch.Tensor) -> torch.Tensor:
        """Sine position [B, T, H*W, C] for a padding mask [B, T, H, W]."""
        position = self.position(fold_frames(mask).int())  # [B*T, C, H, W]
        return unfold_frames(position.flatten(2).transpose(1, 2), len(mask))


def valid_ratio(mask: torch.Tensor) -> torch.Tensor:
    """Returns which part of width and height is image: [B, 2] for a padding mask [B, T, H, W].

    Example:
        >>> valid_ratio(torch.tensor([[[[False, False, True, True]]]])).tolist()
        [[0.5, 1.0]]
    """
    # PARITY(SeqFormer): the first frame of a clip stands for all of them.
    is_image = ~mask[:, 0]
    return torch.stack([is_image[:, 0].float().mean(1), is_image[:, :, 0].float().mean(1)], -1)


def cell_references(shapes: Shapes, valid_ratios: torch.Tensor) -> torch.Tensor:
    """Returns the centre of every cell, relative to each level: [B, S, L, 4], with zero sizes.

    Args:
        shapes: (H_l, W_l) of the levels.
        valid_ratios: [B, L, 2].

    Example:
        >>> cell_references([(1, 2)], torch.ones(1, 1, 2))[0, :, 0].tolist()
        [[0.25, 0.5, 0.0, 0.0], [0.75, 0.5, 0.0, 0.0]]
    """
    centres = []
    for index, (height, width) in enumerate(shapes):
        y, x = torch.meshgrid(
            torch.arange(height, device=valid_ratios.device) + 0.5,
            torch.arange(width, device=valid_ratios.device) + 0.5,
            indexing='ij',
        )
        size = constant((width, height), valid_ratios.dtype, valid_ratios.device)
        image_size = valid_ratios[:, None, index] * size
        centres.append(torch.stack([x, y], -1).flatten(0, 1) / image_size)  # [B, H*W, 2]
    points = torch.cat(centres, 1)[:, :, None] * valid_ratios[:, None]  # [B, S, L, 2]
    return torch.cat([points, torch.zeros_like(points)], -1)


class DeformEncoderLayer(BaseModule):
    """Deformable self-attention within each frame, then an FFN, each with residual and post-norm.

    Args:
        embed_dims: C.
        feedforward_channels: of the FFN.
        dropout: probability.
        attention: config of ``DeformAttention``, without ``embed_dims``.
        mixer: config of a module of mmcv's ATTENTION registry, without ``embed_dims``, or None.
            It is called with the attention's queries [B, T, S, C], the padding [B, T, S] (None if
            nothing is padded) and the shapes of the levels. Its output [B, T, S, C] is added to
            the attention's output.
    """

    def __init__(
        self,
        embed_dims: int,
        feedforward_channels: int,
        dropout: float,
        attention: dict,
        mixer: dict | None = None,
    ) -> None:
        super().__init__()
        self.attention = build_attention(dict(attention, embed_dims=embed_dims))
        self.mixer = build_attention(dict(mixer, embed_dims=embed_dims)) if mixer else None
        self.dropout = nn.Dropout(dropout)
        self.norm1 = nn.LayerNorm(embed_dims)
        self.ffn = FFN(embed_dims, feedforward_channels, ffn_drop=dropout)
        self.norm2 = nn.LayerNorm(embed_dims)

    def forward(
        self, tokens: ClipTokens, references: torch.Tensor, frames_per_pass: int
    ) -> torch.Tensor:
        """New features [B, T, S, C].

        Args:
            tokens: of B clips.
            references: [B, S, L, 4] of each clip's frames.
            frames_per_pass: frames of a clip worked on at a time at inference.
        """
        num_frames = tokens.features.shape[1]
        is_whole = self.training or is_exporting()
        size = num_frames if is_whole else min(num_frames, frames_per_pass)
        mixed = None
        if self.mixer is not None:
            queries = tokens.features + tokens.position
            padding = tokens.padding if tokens.has_padding else None
            mixed = self.mixer(queries, padding, tokens.shapes)
        if size == num_frames:
            return self._encode_frames(tokens, references, mixed)
        # Written in place: joining the parts would keep a long clip's features in memory thrice.
        out = torch.empty_like(tokens.features)
        for index, part in enumerate(tokens.split(size)):
            frames = slice(index * size, (index + 1) * size)
            part_mixed = None if mixed is None else mixed[:, frames]
            out[:, frames] = self._encode_frames(part, references, part_mixed)
        return out

    def _encode_frames(
        self, tokens: ClipTokens, references: torch.Tensor, mixed: torch.Tensor | None
    ) -> torch.Tensor:
        """Returns new features of some frames; ``mixed`` is added to the attention's output."""
        features = tokens.features
        sampled = self.attention(
            fold_frames(features + tokens.position),
            fold_frames(features),
            references[:, None].expand(-1, features.shape[1], -1, -1, -1).flatten(0, 1),
            tokens.shapes,
            fold_frames(tokens.padding),
        )
        update = unfold_frames(self.attention.output_proj(sampled), len(features))
        if mixed is not None:
            update = update + mixed
        features = self.norm1(features + self.dropout(update))
        return self.norm2(self.ffn(features))


class DeformEncoder(BaseModule):
    """A stack of deformable encoder layers.

    Args:
        num_layers: number of layers.
        layer: arguments of ``DeformEncoderLayer``.
    """

    def __init__(self, num_layers: int, **layer) -> None:
        super().__init__()
        self.layers = ModuleList([DeformEncoderLayer(**layer) for _ in range(num_layers)])

    def init_weights(self) -> None:
        """Initialises as Deformable DETR: Xavier for matrices, then each part's own weights."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        super().init_weights()

    def forward(self, tokens: ClipTokens, frames_per_pass: int) -> ClipTokens:
        """The tokens with encoded features.

        Args:
            tokens: of B clips.
            frames_per_pass: frames of one clip worked on at a time at inference; it bounds
                temporaries. A mixer always sees all frames.
        """
        references = cell_references(tokens.shapes, tokens.valid_ratios)
        for layer in self.layers:
            tokens = tokens._replace(features=layer(tokens, references, frames_per_pass))
        return tokens
