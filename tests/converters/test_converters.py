import re

import pytest
import torch
from builders import GOLDENS, SHARED
from golden import GoldenCase
from mmdet.models import build_backbone
from mmdet.models.utils.ckpt_convert import swin_converter

from tevit_vis.apis.build import build_without_pretraining
from tevit_vis.converters import TABLES, convert_checkpoint
from tevit_vis.converters.key_table import Rule
from tevit_vis.converters.swin import by_cell, by_channel, swin_rules
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError

TABLE = TABLES['seqformer']
CASE = GOLDENS / 'seqformer' / 'tiny'


@pytest.fixture(scope='module')
def official():
    return dict(GoldenCase(CASE).state_dict())


def test_numbers_and_parts_are_carried_over():
    rule = Rule('a.*.b.*.', 'x.*.y.*.z.')
    assert rule.renamed('a.3.b.11.weight', reverse=False) == 'x.3.y.11.z.weight'
    assert rule.renamed('x.3.y.11.z.weight', reverse=True) == 'a.3.b.11.weight'
    for other in ('a.3.b.weight', 'a.3.b.11.scale', 'za.3.b.11.weight', 'aX3.b.11.weight'):
        assert rule.renamed(other, reverse=False) is None


def test_there_and_back_again(official):
    ours = convert_checkpoint(official, TABLE, 'official.pth')
    back = convert_checkpoint(ours.weights, TABLE, 'ours.pth', reverse=True)
    assert set(back.weights) == set(official)
    unused = 'self_attn.output_proj_box'
    for key, value in official.items():
        if 'encoder' in key and unused in key:
            assert (back.weights[key] == 0).all()  # never used, so nothing is kept of it
        else:
            assert torch.equal(back.weights[key], value)
    # Every key is accounted for, in both directions.
    assert {old for old, _ in ours.renamed} | {old for old, _ in ours.dropped} == set(official)
    assert {new for _, new in ours.renamed} | {new for new, _ in ours.made} == set(ours.weights)
    assert ours.missing == back.missing == []
    report = str(ours)
    assert 'renamed detr.query_embed.weight -> bbox_head.decoder.queries.weight' in report
    assert 'output_proj_box.bias: the official encoder never uses it' in report
    assert re.search(r'made backbone\.bn1\.num_batches_tracked: counter', report)


@pytest.mark.parametrize('case', ['tiny', 'full_r101'])
def test_ifc_there_and_back_again(case):
    folder = (GOLDENS if case == 'tiny' else SHARED / 'goldens') / 'ifc' / case
    if not folder.exists():
        pytest.skip('../shared/goldens is absent')
    official = dict(GoldenCase(folder).state_dict())
    ours = convert_checkpoint(official, TABLES['ifc'], 'official.pth')
    back = convert_checkpoint(ours.weights, TABLES['ifc'], 'ours.pth', reverse=True)
    assert ours.missing == back.missing == []
    assert set(back.weights) == set(official)
    assert all(torch.equal(value, back.weights[key]) for key, value in official.items())
    with pytest.raises(InputError, match="looks like IFC's official checkpoint"):
        convert_checkpoint(official, TABLE, 'x.pth')


def test_what_is_missing_is_told(official):
    part = {key: value for key, value in official.items() if 'reference_points' not in key}
    converted = convert_checkpoint(part, TABLE, 'part.pth')
    assert converted.missing == [
        'detr.transformer.reference_points.weight',
        'detr.transformer.reference_points.bias',
    ]
    assert 'missing detr.transformer.reference_points.bias' in str(converted)


@pytest.mark.parametrize(
    ('gone', 'count'),
    [
        ('detr.transformer.decoder.layers.1.', 40),  # the classes tell that there was one
        ('detr.transformer.encoder.layers.0.norm1.bias', 1),
        ('detr.backbone.0.body.layer3.2.', 15),
        ('detr.backbone.0.body.layer2.0.downsample.1.running_var', 1),
        ('detr.transformer.decoder.bbox_embed.1.', 6),  # the second name of a module
        ('detr.transformer.level_embed', 1),
        ('detr.input_proj.3.1.', 2),
        ('controller.layers.1.weight', 1),
    ],
)
@pytest.mark.parametrize('reverse', [False, True])
def test_parts_of_what_is_there_are_missed(official, gone, count, reverse):
    part = {key: value for key, value in official.items() if not key.startswith(gone)}
    assert len(part) < len(official)
    ours = convert_checkpoint(part, TABLE, 'part.pth')
    if not reverse:
        assert len(ours.missing) == count
        assert all(key.startswith(gone) for key in ours.missing)
        return
    back = convert_checkpoint(ours.weights, TABLE, 'ours.pth', reverse=True)
    twin = 'decoder.bbox_embed' in gone
    assert bool(back.missing) != twin  # ours holds a module once


def test_a_checkpoint_saved_from_ddp_is_unwrapped(official):
    wrapped = {f'module.{key}': value for key, value in official.items()}
    assert convert_checkpoint(wrapped, TABLE, 'x.pth').missing == []


def test_a_module_saved_twice_must_be_one(official):
    key = 'detr.transformer.decoder.bbox_embed.1.layers.0.bias'
    changed = {**official, key: official[key] + 1}
    message = f'x.pth: {key} must equal detr.bbox_embed.1.layers.0.bias, but does not'
    with pytest.raises(InputError, match=message):
        convert_checkpoint(changed, TABLE, 'x.pth')


def test_an_unknown_key_is_refused(official):
    changed = {**official, 'detr.surprise.weight': torch.zeros(1)}
    with pytest.raises(InputError, match=r'x.pth: 1 keys are not .* \(first: detr.surprise'):
        convert_checkpoint(changed, TABLE, 'x.pth')


@pytest.mark.parametrize(
    ('key', 'what'),
    [
        ('detr.transformer.encoder.memory_bus', "IFC's official checkpoint"),
        ('bbox_head.decoder.layers.0.time_weights.weight', 'a SeqFormer of tevit_vis'),
        ('layer1.0.conv1.weight', 'a backbone alone'),
        ('something', r'none we know \(its first key: something\)'),
    ],
)
def test_other_checkpoints_are_named(key, what):
    with pytest.raises(InputError, match=f'x.pth: .* official seqformer, .* looks like {what}'):
        convert_checkpoint({key: torch.zeros(1)}, TABLE, 'x.pth')


def test_swin_is_converted_as_mmdet_does():
    torch.manual_seed(0)
    backbone = build_backbone(
        dict(type='SwinTransformer', embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2],
             window_size=2, out_indices=(1, 2, 3))
    )  # fmt: skip
    prefix = 'detr.backbone.0.body.'
    ours = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    rules = swin_rules(prefix)

    def renamed(weights, reverse):
        found = {}
        for key, value in weights.items():
            rule = next(rule for rule in rules if rule.renamed(key, reverse))
            change = rule.change(reverse)
            found[rule.renamed(key, reverse)] = change(value) if change else value
        return found

    official = renamed(ours, reverse=True)
    bare = {key[len(prefix) :]: value for key, value in official.items()}
    theirs = dict(swin_converter(bare))
    for key, value in theirs.items():
        assert torch.equal(ours[key], value)  # mmdet's names begin with 'backbone.' too
    assert set(theirs) == set(ours)
    assert all(torch.equal(value, ours[key]) for key, value in renamed(official, False).items())
    weights = torch.randn(3, 20)
    assert torch.equal(by_cell(by_channel(weights)), weights)
    assert by_channel(torch.arange(8)).tolist() == [0, 4, 2, 6, 1, 5, 3, 7]


def official_mask2former_keys(num_encoder_layers=6, num_decoder_layers=9):
    """Names of the head's weights in the authors' modules, module by module."""
    affine = ('weight', 'bias')
    attention = ('in_proj_weight', 'in_proj_bias', 'out_proj.weight', 'out_proj.bias')
    pixels, predictor = 'sem_seg_head.pixel_decoder.', 'sem_seg_head.predictor.'
    keys = [
        f'{pixels}input_proj.{i}.{j}.{part}' for i in range(3) for j in (0, 1) for part in affine
    ]
    keys.append(f'{pixels}transformer.level_embed')
    for n in range(num_encoder_layers):
        layer = f'{pixels}transformer.encoder.layers.{n}.'
        own = ('sampling_offsets', 'attention_weights', 'value_proj', 'output_proj')
        names = [f'self_attn.{name}' for name in own] + ['norm1', 'linear1', 'linear2', 'norm2']
        keys += [f'{layer}{name}.{part}' for name in names for part in affine]
    for name in ('adapter_1', 'layer_1'):  # convolutions before a norm, without bias
        keys += [pixels + name + end for end in ('.weight', '.norm.weight', '.norm.bias')]
    keys += [f'{pixels}mask_features.{part}' for part in affine]
    for n in range(num_decoder_layers):
        for name, module in (
            ('self_attention', 'self_attn'),
            ('cross_attention', 'multihead_attn'),
        ):
            layer = f'{predictor}transformer_{name}_layers.{n}.'
            keys += [f'{layer}{module}.{part}' for part in attention]
            keys += [f'{layer}norm.{part}' for part in affine]
        layer = f'{predictor}transformer_ffn_layers.{n}.'
        keys += [f'{layer}{m}.{p}' for m in ('linear1', 'linear2', 'norm') for p in affine]
    modules = ['decoder_norm', 'class_embed', *(f'mask_embed.layers.{n}' for n in range(3))]
    keys += [f'{predictor}{module}.{part}' for module in modules for part in affine]
    return {
        *keys,
        *(f'{predictor}{x}.weight' for x in ('query_feat', 'query_embed', 'level_embed')),
    }


@pytest.mark.parametrize('name', ['r50', pytest.param('swin-t', marks=pytest.mark.slow)])
def test_mask2former_there_and_back_again(name):
    config = load_config(f'mask2former/mask2former_{name}_coco')
    ours = build_without_pretraining(config).state_dict()
    table = TABLES['mask2former']
    back = convert_checkpoint(ours, table, 'ours.pth', reverse=True)
    head = {key for key in back.weights if key.startswith('sem_seg_head.')}
    assert head == official_mask2former_keys()
    assert back.weights['criterion.empty_weight'].tolist() == pytest.approx([1.0] * 80 + [0.1])
    forth = convert_checkpoint(back.weights, table, 'official.pth')
    assert back.missing == forth.missing == []
    assert set(forth.weights) == set(ours)
    assert all(torch.equal(forth.weights[key], value) for key, value in ours.items())
    old = {key.replace('query_feat', 'static_query'): value for key, value in back.weights.items()}
    del old['criterion.empty_weight']  # which is not in every file
    assert set(convert_checkpoint(old, table, 'old.pth').weights) == set(ours)
    with pytest.raises(InputError, match="looks like Mask2Former's or MinVIS's official checkp"):
        convert_checkpoint(back.weights, TABLES['ifc'], 'x.pth')
