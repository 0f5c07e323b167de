"""Multi-head attention that does not return its weights."""

from __future__ import annotations

import torch
from mmcv.cnn.bricks.transformer import MultiheadAttention
from torch import nn


class AttentionWithoutWeights(nn.MultiheadAttention):
    """torch's attention on its fast path, which does not return the weights."""

    def forward(self, *args, **kwargs) -> tuple[torch.Tensor, None]:
        """See ``nn.MultiheadAttention``."""
        return super().forward(*args, **kwargs, need_weights=False)


class ResidualAttention(MultiheadAttention):
    """mmcv's attention with residual and positions, batch first, without returned weights.

    mmcv's own module asks for the weights, which takes twice the time.

    Args:
        embed_dims: C.
        num_heads: heads, among which the channels are divided.
        dropout: probability, of weights and of outputs.
    """

    def __init__(self, embed_dims: int, num_heads: int, dropout: float) -> None:
        super().__init__(
            embed_dims, num_heads, attn_drop=dropout, proj_drop=dropout, batch_first=True
        )
        self.attn = AttentionWithoutWeights(embed_dims, num_heads, dropout)
