"""IFC's official checkpoint: {'model': weights} in detectron2's layout."""

from __future__ import annotations

from .key_table import SELF_ATTENTION, KeyTable, OfficialOnlyKeys, Rule, no_object_weights
from .resnet import resnet_rules

TRANSFORMER = 'detr.transformer.'
ENCODER = 'bbox_head.encoder.'
DECODER = ('detr.transformer.clip_decoder.layers.*.', 'bbox_head.decoder.layers.*.')


def _encoder_rules(official_layers: str, our_layers: str) -> list[Rule]:
    layer = (f'{TRANSFORMER}encoder.{official_layers}.*.', f'{ENCODER}{our_layers}.*.')
    names = {
        'norm1.': 'norm1.',
        'norm2.': 'norm2.',
        'linear1.': 'ffn.layers.0.0.',
        'linear2.': 'ffn.layers.1.',
    }
    attention = Rule(
        layer[0] + 'self_attn.', layer[1] + 'attention.attn.', SELF_ATTENTION, family='encoder'
    )
    return [
        attention,
        *(
            Rule(layer[0] + official, layer[1] + ours, family='encoder')
            for official, ours in names.items()
        ),
    ]


def _decoder_rules() -> list[Rule]:
    names = {
        'norm1.': 'norms.0.',
        'norm2.': 'norms.1.',
        'norm3.': 'norms.2.',
        'linear1.': 'ffn.layers.0.0.',
        'linear2.': 'ffn.layers.1.',
    }
    attentions = {'self_attn.': 'self_attn.attn.', 'multihead_attn.': 'cross_attn.attn.'}
    return [
        *(
            Rule(DECODER[0] + official, DECODER[1] + ours, SELF_ATTENTION, family='decoder')
            for official, ours in attentions.items()
        ),
        *(
            Rule(DECODER[0] + official, DECODER[1] + ours, family='decoder')
            for official, ours in names.items()
        ),
    ]


RULES = [
    Rule(TRANSFORMER + 'memory_bus', ENCODER + 'tokens', ('',)),
    Rule(TRANSFORMER + 'memory_pos', ENCODER + 'token_position', ('',)),
    *_encoder_rules('enc_layers', 'frame_layers'),
    *_encoder_rules('bus_layers', 'bus_layers'),
    *_decoder_rules(),
    Rule(TRANSFORMER + 'clip_decoder.norm.', 'bbox_head.decoder.norm.'),
    Rule('detr.query_embed.', 'bbox_head.decoder.query_position.', ('weight',)),
    *(Rule(f'detr.class_embed.layers.{n}.', f'bbox_head.class_branch.{2 * n}.') for n in range(2)),
    Rule('detr.input_proj.', 'neck.levels.2.0.'),
    Rule('detr.mask_head.adapter1.', 'neck.levels.1.0.'),
    Rule('detr.mask_head.adapter2.', 'neck.levels.0.0.'),
    *(
        rule
        for n, level in ((1, 'stride32'), (2, 'stride16'), (3, 'stride8'))
        for rule in (
            Rule(f'detr.mask_head.lay{n}.', f'bbox_head.mask_features.{level}.0.'),
            Rule(f'detr.mask_head.gn{n}.', f'bbox_head.mask_features.{level}.1.'),
        )
    ),
    *(
        Rule(f'detr.mask_head.out_lay.{name}.', f'bbox_head.mask_features.{name}.')
        for name in ('depthwise', 'pointwise')
    ),
    *(
        Rule(f'detr.mask_head.convert_to_weight.layers.{n}.', f'bbox_head.mask_weights.{2 * n}.')
        for n in range(3)
    ),
    *resnet_rules('detr.backbone.0.backbone.'),
]

IFC = KeyTable(
    system='ifc',
    checkpoint_key='model',
    rules=RULES,
    extras=[
        OfficialOnlyKeys(
            'criterion.empty_weight',
            'weights of the classes in the loss, which the config has (no_object_weight)',
            made_from='detr.class_embed.layers.1.bias',
            made=no_object_weights,
        )
    ],
    counters={'.num_batches_tracked': 'counter of batch norms, which the official ones lack'},
)
