"""SeqFormer's official checkpoint: {'model': weights}."""

from __future__ import annotations

import torch

from .rename import Extra, KeyTable, Rule
from .swin import swin_rules

ENCODER = ('detr.transformer.encoder.layers.*.', 'bbox_head.encoder.layers.*.')
DECODER = ('detr.transformer.decoder.layers.*.', 'bbox_head.decoder.layers.*.')


def _within(layer: tuple[str, str], names: dict[str, str]) -> list[Rule]:
    return [Rule(layer[0] + official, layer[1] + ours) for official, ours in names.items()]


RULES = [
    Rule('detr.input_proj.*.*.', 'neck.levels.*.*.'),
    Rule('detr.transformer.level_embed', 'bbox_head.tokens.level_embed'),
    *_within(
        ENCODER,
        {
            'self_attn.': 'attention.',
            'norm1.': 'norm1.',
            'norm2.': 'norm2.',
            'linear1.': 'ffn.layers.0.0.',
            'linear2.': 'ffn.layers.1.',
        },
    ),
    *_within(
        DECODER,
        {
            'cross_attn.output_proj_box.': 'output_proj_box.',
            'cross_attn.': 'cross_attn.',
            'self_attn.': 'self_attn.attn.',
            'self_attn_box.': 'self_attn_box.attn.',
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
    Rule('detr.query_embed.', 'bbox_head.decoder.queries.'),
    Rule('detr.class_embed.*.', 'bbox_head.class_branches.*.'),
    *(
        Rule(f'detr.bbox_embed.*.layers.{layer}.', f'bbox_head.decoder.box_branches.*.{2 * layer}.')
        for layer in range(3)
    ),
    *(Rule(f'controller.layers.{n}.', f'bbox_head.controller.{2 * n}.') for n in range(3)),
    Rule('mask_head.lay3.', 'bbox_head.mask_features.stride32.'),
    Rule('mask_head.lay4.', 'bbox_head.mask_features.stride16.'),
    Rule('mask_head.dcn.', 'bbox_head.mask_features.stride8.'),
    Rule('mask_head.lay1.', 'bbox_head.mask_features.narrow.'),
    Rule('mask_head.lay2.', 'bbox_head.mask_features.out.'),
]
BODY = 'detr.backbone.0.body.'
RESNET = [
    Rule(BODY + 'conv1.', 'backbone.conv1.'),
    Rule(BODY + 'bn1.', 'backbone.bn1.'),
    *(Rule(f'{BODY}layer{n}.', f'backbone.layer{n}.') for n in range(1, 5)),
]
EXTRAS = [
    Extra(
        'detr.transformer.decoder.bbox_embed.*.',
        'the module of detr.bbox_embed under a second name',
        made_from='detr.bbox_embed.*.',
        must_equal=True,
    ),
    Extra(
        'detr.transformer.encoder.layers.*.self_attn.output_proj_box.',
        'the official encoder never uses it',
        made_from='detr.transformer.encoder.layers.*.self_attn.output_proj.',
        made=torch.zeros_like,
    ),
    Extra(
        BODY + 'norm0.',
        'the norm of a map that is not used',
        # Ones and zeros, as wide as the maps of the first stage.
        made_from=BODY + 'patch_embed.norm.',
    ),
]

SEQFORMER = KeyTable(
    system='seqformer',
    checkpoint_key='model',
    rules=RULES,
    extras=EXTRAS,
    counters={'.num_batches_tracked': 'counter of batch norms, which the official ones lack'},
    variants=(RESNET, swin_rules(BODY)),
)
