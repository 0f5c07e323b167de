"""Mask2Former's pixel decoder: mmdet's, with deformable attention that is fast on the CPU as well.

Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation", CVPR 2022,
section 3.2.1.

Letters: N frames, L encoded levels, S = sum(H_l * W_l) cells, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import PLUGIN_LAYERS
from mmcv.cnn.bricks.registry import ATTENTION
from mmdet.models.plugins import MSDeformAttnPixelDecoder

from .clip_ops import constant
from .deform_attention import DeformAttention, Shapes
from .deform_encoder import cell_references


@ATTENTION.register_module()
class DeformSelfAttention(DeformAttention):
    """Deformable attention of cells to cells, as a part of mmcv's BaseTransformerLayer.

    Args:
        embed_dims: C.
        num_heads, num_levels, num_points: heads, levels, and points of each on a level.
        batch_first: must be True; mmcv's layer hands its own setting on.

    Raises:
        ValueError: ``batch_first`` is False.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        num_levels: int,
        num_points: int,
        batch_first: bool = True,
    ) -> None:
        if not batch_first:
            raise ValueError('DeformSelfAttention: batch_first must be True, but got False')
        super().__init__(embed_dims, num_heads, num_levels, num_points)

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        identity: torch.Tensor | None = None,
        *,
        query_pos: torch.Tensor,
        references: torch.Tensor,
        shapes: Shapes,
        **_,
    ) -> torch.Tensor:
        """Returns the cells [N, S, C] plus what they sampled.

        Args:
            query: [N, S, C] cells, level after level.
            key, value: the same cells, which mmcv's layer hands over again.
            identity: added to the output; None adds ``query``.
            query_pos: [1 or N, S, C].
            references: [N, S, L, 4], see ``DeformAttention``.
            shapes: (H_l, W_l) of the levels.
        """
        sampled = super().forward(query + query_pos, value, references, shapes, padding=None)
        return self.output_proj(sampled) + (query if identity is None else identity)


@PLUGIN_LAYERS.register_module()
class FramePixelDecoder(MSDeformAttnPixelDecoder):
    """mmdet's MSDeformAttnPixelDecoder, batch first, on shapes that the host knows.

    Its constructor, parts and weights are those of MSDeformAttnPixelDecoder; the encoder's layers
    must be batch first, with ``DeformSelfAttention``.
    """

    def forward(self, feats: Sequence[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Returns mask features and encoded levels.

        Args:
            feats: [N, C_l, H_l, W_l] each, the finest first.

        Returns:
            Mask features [N, C, H, W] of the finest level's size, and ``num_outs`` levels
            [N, C, H_l, W_l], the coarsest first.
        """
        # Encode the coarser levels, the coarsest first.
        levels = [conv(level) for conv, level in zip(self.input_convs, reversed(feats))]
        shapes = [tuple(level.shape[2:]) for level in levels]
        cells = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)  # [N, S, C]
        dtype = torch.promote_types(cells.dtype, torch.float32)  # half precision is too coarse
        valid_ratios = constant((1.0, 1.0), dtype, cells.device)
        references = cell_references(shapes, valid_ratios.expand(cells.shape[0], len(shapes), 2))
        cells = self.encoder(
            cells,
            key=None,
            value=None,
            query_pos=self._position(shapes, cells),
            references=references,
            shapes=shapes,
        )
        areas = [height * width for height, width in shapes]
        outs = [
            level.transpose(1, 2).unflatten(2, shape)
            for level, shape in zip(cells.split(areas, dim=1), shapes)
        ]
        # Merge the finer levels, which are not encoded.
        num_finer = len(self.lateral_convs)
        finer_levels = reversed(feats[:num_finer])
        for lateral, output, level in zip(self.lateral_convs, self.output_convs, finer_levels):
            level = lateral(level)
            coarser = F.interpolate(outs[-1], level.shape[2:], mode='bilinear', align_corners=False)
            outs.append(output(level + coarser))
        return self.mask_feature(outs[-1]), outs[: self.num_outs]

    def _position(self, shapes: Shapes, like: torch.Tensor) -> torch.Tensor:
        """Returns the position [1, S, C] of each cell, which tells its level as well."""
        positions = [
            self.postional_encoding(like.new_zeros(1, *shape, dtype=torch.int)).flatten(2)
            + embedding[:, None]
            for shape, embedding in zip(shapes, self.level_encoding.weight)
        ]
        return torch.cat(positions, 2).transpose(1, 2)
