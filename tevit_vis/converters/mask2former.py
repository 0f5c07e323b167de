"""Mask2Former's official checkpoint, which is MinVIS's as well: {'model': weights}."""

from __future__ import annotations

from .key_table import (
    DEFORMABLE_ATTENTION,
    SELF_ATTENTION,
    KeyTable,
    OfficialOnlyKeys,
    Rule,
    no_object_weights,
    rules_within,
)
from .resnet import resnet_rules
from .swin import swin_rules

PIXELS = ('sem_seg_head.pixel_decoder.', 'panoptic_head.pixel_decoder.')
PREDICTOR = ('sem_seg_head.predictor.', 'panoptic_head.')
ENCODER = (f'{PIXELS[0]}transformer.encoder.layers.*.', f'{PIXELS[1]}encoder.layers.*.')
DECODER = f'{PREDICTOR[1]}transformer_decoder.layers.*.'


def _query_rules(content: str) -> list[Rule]:
    """Returns the rules of the learned queries; the first files called their content otherwise."""
    return [
        Rule(PREDICTOR[0] + official, PREDICTOR[1] + ours, ('weight',))
        for official, ours in {
            content: 'query_feat.',
            'query_embed.': 'query_embed.',
            'level_embed.': 'level_embed.',
        }.items()
    ]


def _decoder_rules() -> list[Rule]:
    rules = []
    for number, (name, attention) in enumerate(
        (('cross_attention', 'multihead_attn'), ('self_attention', 'self_attn'))
    ):
        layer = (f'{PREDICTOR[0]}transformer_{name}_layers.*.', DECODER)
        ours = f'attentions.{number}.attn.'
        rules += rules_within(layer, {f'{attention}.': ours}, SELF_ATTENTION)
        rules += rules_within(layer, {'norm.': f'norms.{number}.'})
    ffn = (f'{PREDICTOR[0]}transformer_ffn_layers.*.', DECODER)
    names = {'linear1.': 'ffns.0.layers.0.0.', 'linear2.': 'ffns.0.layers.1.', 'norm.': 'norms.2.'}
    return [*rules, *rules_within(ffn, names)]


RULES = [
    Rule(f'{PIXELS[0]}input_proj.*.0.', f'{PIXELS[1]}input_convs.*.conv.', family='levels'),
    Rule(f'{PIXELS[0]}input_proj.*.1.', f'{PIXELS[1]}input_convs.*.gn.', family='levels'),
    Rule(f'{PIXELS[0]}transformer.level_embed', f'{PIXELS[1]}level_encoding.weight', ('',)),
    *rules_within(ENCODER, {'self_attn.': 'attentions.0.'}, DEFORMABLE_ATTENTION),
    *rules_within(
        ENCODER,
        {
            'norm1.': 'norms.0.',
            'norm2.': 'norms.1.',
            'linear1.': 'ffns.0.layers.0.0.',
            'linear2.': 'ffns.0.layers.1.',
        },
    ),
    *(
        rule
        for official, ours in (('adapter_1.', 'lateral_convs.0.'), ('layer_1.', 'output_convs.0.'))
        for rule in (
            Rule(PIXELS[0] + official, f'{PIXELS[1]}{ours}conv.', ('weight',)),
            Rule(f'{PIXELS[0]}{official}norm.', f'{PIXELS[1]}{ours}gn.'),
        )
    ),
    Rule(f'{PIXELS[0]}mask_features.', f'{PIXELS[1]}mask_feature.'),
    *_decoder_rules(),
    Rule(f'{PREDICTOR[0]}decoder_norm.', f'{PREDICTOR[1]}transformer_decoder.post_norm.'),
    Rule(f'{PREDICTOR[0]}class_embed.', f'{PREDICTOR[1]}cls_embed.'),
    *(
        Rule(f'{PREDICTOR[0]}mask_embed.layers.{n}.', f'{PREDICTOR[1]}mask_embed.{2 * n}.')
        for n in range(3)
    ),
]

MASK2FORMER = KeyTable(
    system='mask2former',
    checkpoint_key='model',
    rules=RULES,
    extras=[
        OfficialOnlyKeys(
            'criterion.empty_weight',
            'weights of the classes in the loss, which the config has (no_object_weight)',
            made_from=f'{PREDICTOR[0]}class_embed.bias',
            made=no_object_weights,
        )
    ],
    counters={'.num_batches_tracked': 'counter of batch norms, which the official ones lack'},
    variants=[
        [*backbone, *_query_rules(content)]
        for content in ('query_feat.', 'static_query.')
        for backbone in (resnet_rules('backbone.'), swin_rules('backbone.', first_map=0))
    ],
    license_note=(
        "the authors' weights are for non-commercial use: Mask2Former's CC BY-NC 4.0, MinVIS's "
        "CC BY-NC-SA 4.0; what is converted from them is so, too (mmdet's zoo: Apache-2.0)"
    ),
)
