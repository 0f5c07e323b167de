"""Rules for Swin transformers, from Microsoft's names to mmdet's."""

from __future__ import annotations

import torch

from .key_table import Rule

CELL_ORDER = [0, 2, 1, 3]  # mmdet takes the four cells of a patch by rows, Microsoft by columns


def swin_rules(prefix: str, first_map: int = 1) -> list[Rule]:
    """Rules of a backbone whose official keys begin with ``prefix``.

    Args:
        first_map: the first of the four maps that the system takes; each map has a norm.
    """
    block = (f'{prefix}layers.*.blocks.*.', 'backbone.stages.*.blocks.*.')
    merge = (f'{prefix}layers.*.downsample.', 'backbone.stages.*.downsample.')
    attention = ('relative_position_bias_table', 'relative_position_index')
    names = {
        'attn.qkv.': 'attn.w_msa.qkv.',
        'attn.proj.': 'attn.w_msa.proj.',
        'norm1.': 'norm1.',
        'norm2.': 'norm2.',
        'mlp.fc1.': 'ffn.layers.0.0.',
        'mlp.fc2.': 'ffn.layers.1.',
    }
    return [
        Rule(f'{prefix}patch_embed.proj.', 'backbone.patch_embed.projection.'),
        Rule(f'{prefix}patch_embed.norm.', 'backbone.patch_embed.norm.'),
        Rule(block[0] + 'attn.', block[1] + 'attn.w_msa.', attention, family='stages'),
        *(
            Rule(block[0] + official, block[1] + ours, family='stages')
            for official, ours in names.items()
        ),
        Rule(
            merge[0] + 'reduction.',
            merge[1] + 'reduction.',
            ('weight',),
            to_ours=by_channel,
            to_official=by_cell,
        ),
        Rule(merge[0] + 'norm.', merge[1] + 'norm.', to_ours=by_channel, to_official=by_cell),
        *(Rule(f'{prefix}norm{n}.', f'backbone.norm{n}.') for n in range(first_map, 4)),
    ]


def by_channel(values: torch.Tensor) -> torch.Tensor:
    """Reorders [..., 4 * C] from Microsoft's order, cell by cell, to mmdet's, channel by channel.

    Example:
        >>> by_channel(torch.tensor([0, 1, 10, 11, 20, 21, 30, 31])).tolist()  # 4 cells, C = 2
        [0, 20, 10, 30, 1, 21, 11, 31]
    """
    cells = values.unflatten(-1, (4, -1))[..., CELL_ORDER, :]
    return cells.transpose(-1, -2).flatten(-2)


def by_cell(values: torch.Tensor) -> torch.Tensor:
    """The inverse of ``by_channel``."""
    cells = values.unflatten(-1, (-1, 4)).transpose(-1, -2)
    return cells[..., CELL_ORDER, :].flatten(-2)
