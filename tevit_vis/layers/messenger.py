"""Messenger tokens, each of which passes through a PVTv2 block like a constant image.

Yang et al., "Temporally Efficient Vision Transformer for Video Instance Segmentation",
CVPR 2022, section 3.2 (messenger shift mechanism).

Letters: B clips, T frames, N = B*T folded frames, S = H*W patches, M messengers, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

SHIFT_STRIDES = (1, -1, 2, -2)  # frames by which even blocks shift each group of messengers


def convolve_constant_images(conv: nn.Conv2d, messengers: torch.Tensor) -> torch.Tensor:
    """Returns the output of a convolution for constant images, away from their borders.

    Args:
        conv: its kernel is summed over space.
        messengers: [N, M, C_in], one constant image per token.

    Returns:
        [N, M, C_out].

    Example:
        >>> conv = nn.Conv2d(1, 1, kernel_size=3)
        >>> pixel = convolve_constant_images(conv, torch.ones(1, 1, 1))
        >>> torch.allclose(pixel, conv(torch.ones(1, 1, 3, 3)).flatten(2), atol=1e-6)
        True
    """
    kernel = conv.weight.sum((2, 3))  # [C_out, C_in / groups]
    if conv.groups == 1:
        return F.linear(messengers, kernel, conv.bias)
    grouped = messengers.unflatten(2, (conv.groups, -1))
    kernel = kernel.unflatten(0, (conv.groups, -1))
    return torch.einsum('nmgi,goi->nmgo', grouped, kernel).flatten(2) + conv.bias


def shift_messengers(messengers: torch.Tensor, strides: Sequence[int]) -> torch.Tensor:
    """Rolls groups of messengers along time, each by its own number of frames.

    ``torch.chunk`` forms the groups, also where their number does not divide M.

    Args:
        messengers: [B, T, M, C].
        strides: frames by which each group moves.

    Example:
        >>> messengers = torch.tensor([[[[0], [0]], [[1], [1]], [[2], [2]]]])  # T = 3, M = 2
        >>> shift_messengers(messengers, strides=(1, -1))[0, ..., 0].tolist()
        [[2, 1], [0, 2], [1, 0]]
    """
    groups = messengers.chunk(len(strides), dim=2)
    return torch.cat([g.roll(stride, dims=1) for g, stride in zip(groups, strides)], dim=2)


def tokens_to_map(patches: torch.Tensor, hw_shape: tuple[int, int]) -> torch.Tensor:
    """Returns tokens [N, S, C] as a map [N, C, H, W] in channels-last memory, without a copy.

    Example:
        >>> tokens_to_map(torch.zeros(1, 6, 8), (2, 3)).shape
        torch.Size([1, 8, 2, 3])
    """
    return patches.unflatten(1, tuple(hw_shape)).permute(0, 3, 1, 2)


def map_to_tokens(feature_map: torch.Tensor) -> torch.Tensor:
    """Returns a map [N, C, H, W] as tokens [N, S, C]."""
    return feature_map.flatten(2).transpose(1, 2)


def messenger_attention(
    attn: nn.Module, tokens: torch.Tensor, hw_shape: tuple[int, int]
) -> torch.Tensor:
    """Applies spatial-reduction attention with messengers among its queries and keys.

    Args:
        attn: mmdet's ``SpatialReductionAttention``.
        tokens: [N, S + M, C], patches before messengers, normalised.
        hw_shape: (H, W) of the patches.

    Returns:
        [N, S + M, C], without the residual.
    """
    num_patches = hw_shape[0] * hw_shape[1]
    patches, messengers = tokens[:, :num_patches], tokens[:, num_patches:]
    if attn.sr_ratio > 1:
        reduced = map_to_tokens(attn.sr(tokens_to_map(patches, hw_shape)))
        keys = attn.norm(torch.cat([reduced, convolve_constant_images(attn.sr, messengers)], dim=1))
    else:
        keys = patches  # PARITY(TeViT): at ratio 1 the messengers are no keys.
    return attn.proj_drop(multihead_attention(attn.attn, tokens, keys))


def multihead_attention(
    attn: nn.MultiheadAttention, queries: torch.Tensor, keys: torch.Tensor
) -> torch.Tensor:
    """Applies ``nn.MultiheadAttention`` to batch-first tokens without forming attention weights.

    Args:
        attn: the module; its ``batch_first`` is ignored.
        queries: [N, Q, C].
        keys: [N, K, C], also the values.

    Returns:
        [N, Q, C].
    """
    channels = attn.embed_dim
    weight_q, weight_kv = attn.in_proj_weight.split([channels, 2 * channels])
    bias_q, bias_kv = (
        attn.in_proj_bias.split([channels, 2 * channels])
        if attn.in_proj_bias is not None
        else (None, None)
    )

    def split_heads(x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(2, (attn.num_heads, -1)).transpose(1, 2)  # [N, K, C] -> [N, h, K, C/h]

    q = split_heads(F.linear(queries, weight_q, bias_q))
    k, v = (split_heads(x) for x in F.linear(keys, weight_kv, bias_kv).chunk(2, dim=2))
    dropout = attn.dropout if attn.training else 0.0
    out = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
    return attn.out_proj(out.transpose(1, 2).flatten(2))


def messenger_ffn(ffn: nn.Module, tokens: torch.Tensor, hw_shape: tuple[int, int]) -> torch.Tensor:
    """Applies PVTv2's convolutional FFN to patches and, as constant images, to messengers.

    Args:
        ffn: mmdet's ``MixFFN``.
        tokens: [N, S + M, C], patches before messengers, normalised.
        hw_shape: (H, W) of the patches.

    Returns:
        [N, S + M, C], without the residual.
    """
    num_patches = hw_shape[0] * hw_shape[1]
    patches = map_to_tokens(ffn.layers(tokens_to_map(tokens[:, :num_patches], hw_shape)))
    messengers = tokens[:, num_patches:]
    for layer in ffn.layers:
        if isinstance(layer, nn.Conv2d):
            messengers = convolve_constant_images(layer, messengers)
        else:
            messengers = layer(messengers)
    return torch.cat([patches, messengers], dim=1)


def messenger_block(
    block: nn.Module, tokens: torch.Tensor, hw_shape: tuple[int, int]
) -> torch.Tensor:
    """Applies one PVTv2 encoder layer to patches and messengers.

    Args:
        block: mmdet's ``PVTEncoderLayer``.
        tokens: [N, S + M, C], patches before messengers.
        hw_shape: (H, W) of the patches.

    Returns:
        [N, S + M, C].
    """
    attended = messenger_attention(block.attn, block.norm1(tokens), hw_shape)
    tokens = tokens + block.attn.dropout_layer(attended)
    mixed = messenger_ffn(block.ffn, block.norm2(tokens), hw_shape)
    return tokens + block.ffn.dropout_layer(mixed)
