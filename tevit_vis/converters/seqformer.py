"""SeqFormer's official checkpoint: {'model': weights}."""

from __future__ import annotations

import torch

from .key_table import (
    BATCH_NORM,
    DEFORMABLE_ATTENTION,
    SELF_ATTENTION,
    KeyTable,
    OfficialOnlyKeys,
    Rule,
    rules_within,
)
from .swin import swin_rules

ENCODER = ('detr.transformer.encoder.layers.*.', 'bbox_head.encoder.layers.*.')
DECODER = ('detr.transformer.decoder.layers.*.', 'bbox_head.decoder.layers.*.')


BODY = 'detr.backbone.0.body.'


def _resnet_rules() -> list[Rule]:
    rules = [
        Rule(BODY + 'conv1.', 'backbone.conv1.', ('weight',)),
        Rule(BODY + 'bn1.', 'backbone.bn1.', BATCH_NORM),
    ]
    for stage in ('layer1', 'layer2', 'layer3', 'layer4'):
        for n in (1, 2, 3):
            names = ((f'conv{n}.', ('weight',)), (f'bn{n}.', BATCH_NORM))
            rules += [
                Rule(f'{BODY}{stage}.*.{name}', f'backbone.{stage}.*.{name}', parts, family=stage)
                for name, parts in names
            ]
        for name, parts in (('0.', ('weight',)), ('1.', BATCH_NORM)):
            name = f'{stage}.0.downsample.{name}'
            rules.append(Rule(BODY + name, f'backbone.{name}', parts))
    return rules


RULES = [
    *(Rule(f'detr.input_proj.*.{n}.', f'neck.levels.*.{n}.', family='levels') for n in range(2)),
    Rule('detr.transformer.level_embed', 'bbox_head.tokens.level_embed', ('',)),
    *rules_within(ENCODER, {'self_attn.': 'attention.'}, DEFORMABLE_ATTENTION),
    *rules_within(
        ENCODER,
        {
            'norm1.': 'norm1.',
            'norm2.': 'norm2.',
            'linear1.': 'ffn.layers.0.0.',
            'linear2.': 'ffn.layers.1.',
        },
    ),
    *rules_within(DECODER, {'cross_attn.': 'cross_attn.'}, DEFORMABLE_ATTENTION),
    *rules_within(
        DECODER,
        {'self_attn.': 'self_attn.attn.', 'self_attn_box.': 'self_attn_box.attn.'},
        SELF_ATTENTION,
    ),
    *rules_within(
        DECODER,
        {
            'cross_attn.output_proj_box.': 'output_proj_box.',
            'norm2.': 'norms.0.',
            'norm1.': 'norms.1.',
            'norm3.': 'norms.2.',
            'norm2_box.': 'norms_box.0.',
            'norm1_box.': 'norms_box.1.',
            'norm3_box.': 'norms_box.2.',
            'linear1.': 'ffn.layers.0.0.',
            'linear2.': 'ffn.layers.1.',
            'linear1_box.': 'ffn_box.layers.0.0.',
            'linear2_box.': 'ffn_box.layers.1.',
            'time_attention_weights.': 'time_weights.',
        },
    ),
    Rule('detr.transformer.reference_points.', 'bbox_head.decoder.reference_points.'),
    Rule('detr.query_embed.', 'bbox_head.decoder.queries.', ('weight',)),
    Rule('detr.class_embed.*.', 'bbox_head.class_branches.*.', family=DECODER[1]),
    *(
        Rule(
            f'detr.bbox_embed.*.layers.{layer}.',
            f'bbox_head.decoder.box_branches.*.{2 * layer}.',
            family=DECODER[1],
        )
        for layer in range(3)
    ),
    *(Rule(f'controller.layers.{n}.', f'bbox_head.controller.{2 * n}.') for n in range(3)),
    Rule('mask_head.lay3.', 'bbox_head.mask_features.stride32.'),
    Rule('mask_head.lay4.', 'bbox_head.mask_features.stride16.'),
    Rule('mask_head.dcn.', 'bbox_head.mask_features.stride8.'),
    Rule('mask_head.lay1.', 'bbox_head.mask_features.narrow.'),
    Rule('mask_head.lay2.', 'bbox_head.mask_features.out.'),
]
EXTRAS = [
    OfficialOnlyKeys(
        'detr.transformer.decoder.bbox_embed.*.',
        'the module of detr.bbox_embed under a second name',
        made_from='detr.bbox_embed.*.',
        must_equal=True,
    ),
    OfficialOnlyKeys(
        'detr.transformer.encoder.layers.*.self_attn.output_proj_box.',
        'the official encoder never uses it',
        made_from='detr.transformer.encoder.layers.*.self_attn.output_proj.',
        made=torch.zeros_like,
    ),
    # The norm of Swin's first map: conversion back makes ones and zeros, as wide as that map.
    OfficialOnlyKeys(
        BODY + 'norm0.weight',
        'the norm of a map that is not used',
        made_from=BODY + 'patch_embed.norm.weight',
        made=torch.ones_like,
    ),
    OfficialOnlyKeys(
        BODY + 'norm0.bias',
        'the norm of a map that is not used',
        made_from=BODY + 'patch_embed.norm.bias',
        made=torch.zeros_like,
    ),
]

SEQFORMER = KeyTable(
    system='seqformer',
    checkpoint_key='model',
    rules=RULES,
    extras=EXTRAS,
    counters={'.num_batches_tracked': 'counter of batch norms, which the official ones lack'},
    variants=(_resnet_rules(), swin_rules(BODY)),
)
