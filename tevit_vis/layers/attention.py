"""Multi-head attention that does not return its weights.

Letters: N images, Q queries, S cells, C channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.registry import ATTENTION
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


@ATTENTION.register_module()
class MaskedAttention(MultiheadAttention):
    """mmcv's attention, batch first, with a mask for each image that all heads share.

    Parts and weights are those of mmcv's MultiheadAttention without dropout. That one takes a mask
    for each head and returns weights, which takes twice the time.

    Args:
        embed_dims: C.
        num_heads: heads, among which the channels are divided.
        batch_first: must be True; mmcv's transformer layers hand their own setting on.

    Raises:
        ValueError: ``batch_first`` is False.
    """

    def __init__(self, embed_dims: int, num_heads: int, batch_first: bool = True) -> None:
        if not batch_first:
            raise ValueError('MaskedAttention: batch_first must be True, but got False')
        super().__init__(embed_dims, num_heads, batch_first=True)

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        identity: torch.Tensor | None = None,
        *,
        query_pos: torch.Tensor,
        key_pos: torch.Tensor,
        attn_mask: torch.Tensor | None,
        **_,
    ) -> torch.Tensor:
        """Returns the queries [N, Q, C] plus what they attend to.

        Args:
            query: [N, Q, C].
            key, value: [N, S, C].
            identity: added to the output; None adds ``query``.
            query_pos: [N, Q, C], added to the query.
            key_pos: [1 or N, S, C], added to the key.
            attn_mask: [N, Q, S] bool, True where a query may not attend; None lets it attend
                anywhere.
        """
        weights = self.attn.in_proj_weight.chunk(3)
        biases = self.attn.in_proj_bias.chunk(3)
        q, k, v = (  # [N, M, Q or S, C / M] for M heads
            F.linear(x, weight, bias).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for x, weight, bias in zip((query + query_pos, key + key_pos, value), weights, biases)
        )
        allowed = None if attn_mask is None else ~attn_mask[:, None]
        attended = F.scaled_dot_product_attention(q, k, v, allowed)
        output = self.attn.out_proj(attended.transpose(1, 2).flatten(2))
        return output + (query if identity is None else identity)
