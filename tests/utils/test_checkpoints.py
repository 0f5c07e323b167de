"""Checkpoints as people have them: wrapped, in other containers, of other systems."""

import pickle
import re

import numpy as np
import pytest
import torch
from torch import nn

from tevit_vis.apis.build import checkpoint_class_names
from tevit_vis.utils.checkpoints import read_checkpoint
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.weight_hints import fit_hint
from tevit_vis.utils.weights import find_weights, load_matching_weights, load_weights


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.ModuleDict(dict(backbone=nn.Linear(3, 4), bbox_head=nn.BatchNorm1d(4)))


def same(model, weights):
    return all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


def drawn(model):
    """Other weights under the model's names."""
    return {key: torch.full_like(value, 3) for key, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ('prefix', 'said'),
    [
        ('module.', "the prefix 'module.' was taken off"),
        ('model.', "the prefix 'model.' was taken off"),
        ('module.model.', "the prefix 'module.model.' was taken off"),
        ('_orig_mod.', '"_orig_mod." of torch.compile was taken off'),
    ],
)
def test_prefixes_of_wrappers_are_taken_off(model, caplog, prefix, said):
    weights = drawn(model)
    wrapped = {prefix + key: value for key, value in weights.items()}
    load_weights(model, dict(state_dict=wrapped), 'x.pth')
    assert same(model, weights)
    assert f'x.pth: {said}' in caplog.text


def test_compiled_parts_are_found_anywhere(model):
    weights = drawn(model)
    inner = {key.replace('backbone.', 'backbone._orig_mod.'): v for key, v in weights.items()}
    load_weights(model, inner, 'x.pth')
    assert same(model, weights)


@pytest.mark.parametrize('container', ['model', 'state_dict_ema', 'ema', 'model_state_dict'])
def test_other_containers_are_opened(model, caplog, container):
    weights = drawn(model)
    load_weights(model, {container: weights, 'epoch': 3}, 'x.pth')
    assert same(model, weights)
    assert f"the weights are those of '{container}'" in caplog.text


def test_plain_weights_are_taken_beside_averaged_ones(model, caplog):
    weights = drawn(model)
    other = {key: value * 2 for key, value in weights.items()}
    load_weights(model, dict(state_dict=weights, state_dict_ema=other), 'x.pth')
    assert same(model, weights)
    assert 'averaged weights are there as well (state_dict_ema)' in caplog.text
    copies = {f'ema_{key.replace(".", "_")}': value for key, value in other.items()}
    load_weights(model, dict(state_dict={**weights, **copies}), 'x.pth')
    assert same(model, weights)
    assert '7 weights named ema_... were left out' in caplog.text


def test_lightning_files_are_read(model):
    weights = drawn(model)
    lightning = {'state_dict': {f'model.{k}': v for k, v in weights.items()}, 'loops': {}}
    assert set(find_weights(lightning, 'x.ckpt', model.state_dict())) == set(weights)
    assert load_matching_weights(model, lightning, 'x.ckpt').new == []


def test_a_prefix_that_is_the_models_own_stays():
    model = nn.ModuleDict(dict(module=nn.Linear(2, 2)))
    weights = {key: torch.ones_like(value) for key, value in model.state_dict().items()}
    load_weights(model, weights, 'x.pth')
    assert (model['module'].weight == 1).all()


def test_a_pickle_of_arrays_is_read_without_running_code(model, tmp_path):
    weights = {key: value.numpy() for key, value in drawn(model).items()}
    path = tmp_path / 'd2.pkl'
    path.write_bytes(pickle.dumps({'model': weights, '__author__': 'me'}, protocol=2))
    load_weights(model, read_checkpoint(str(path)), str(path))
    assert (model['backbone'].weight == 3).all()

    class Evil:
        def __reduce__(self):
            return print, ('ran',)

    path.write_bytes(pickle.dumps({'model': Evil(), 'weights': np.ones(3)}))
    with pytest.raises(InputError, match='holds Python objects besides weights'):
        read_checkpoint(str(path))


def test_safetensors_are_read_or_named(model, tmp_path):
    path = tmp_path / 'x.safetensors'
    try:
        from safetensors.torch import save_file
    except ImportError:
        path.write_bytes(b'')
        with pytest.raises(InputError, match='pip install safetensors'):
            read_checkpoint(str(path))
        return
    save_file({key: value.contiguous() for key, value in drawn(model).items()}, str(path))
    load_weights(model, read_checkpoint(str(path)), str(path))
    assert (model['backbone'].weight == 3).all()


@pytest.mark.parametrize(
    ('key', 'words'),
    [
        ('detr.controller.layers.0.weight', 'official SeqFormer .*convert-checkpoint seqformer'),
        ('roi_head.bbox_head.0.fc_cls.weight', 'TeViT or QueryInst'),
        ('bbox_head.encoder.layers.0.mixer.reduction.weight', 'MS-STS'),
        ('backbone.bottom_up.stem.conv1.weight', 'detectron2'),
        ('layer1.0.conv1.weight', 'weights of a backbone alone'),
    ],
)
def test_what_a_foreign_checkpoint_looks_like_is_said(model, key, words):
    with pytest.raises(InputError, match=f'does not fit the model.*it looks like .*{words}'):
        load_weights(model, {key: torch.zeros(2, 2)}, 'x.pth')


def test_a_panoptic_checkpoint_is_said():
    model = nn.ModuleDict(dict(cls_embed=nn.Linear(3, 81), other=nn.Linear(3, 3)))
    panoptic = dict(model.state_dict())
    panoptic['cls_embed.weight'] = torch.zeros(134, 3)
    panoptic['cls_embed.bias'] = torch.zeros(134)
    with pytest.raises(InputError, match='it is a panoptic checkpoint, .*num_classes=133 find'):
        load_weights(model, panoptic, 'x.pth')


def test_a_panoptic_checkpoint_of_another_backbone_is_both():
    head = {'panoptic_head.cls_embed.weight': torch.zeros(81, 3)}
    model = {**head, **{f'backbone.layer3.{n}.conv1.weight': torch.zeros(1) for n in range(6)}}
    weights = {'panoptic_head.cls_embed.weight': torch.zeros(134, 3)}
    weights['backbone.layer3.22.conv1.weight'] = torch.zeros(1)
    reshaped = ['panoptic_head.cls_embed.weight [134, 3] for [81, 3]']
    faults = {'missing': ['x'], 'left over': ['y'], 'of another shape': reshaped}
    hint = fit_hint(weights, model, faults)
    assert 'it is a panoptic checkpoint' in hint
    assert 'its backbone is ResNet-101' in hint


def test_another_number_of_queries_is_said():
    model = nn.ModuleDict(dict(query_feat=nn.Embedding(100, 3), other=nn.Linear(3, 3)))
    weights = {**model.state_dict(), 'query_feat.weight': torch.zeros(200, 3)}
    with pytest.raises(InputError, match='; its queries differ: .*num_queries'):
        load_weights(model, weights, 'x.pth')


@pytest.mark.parametrize(
    ('key', 'words'),
    [
        ('backbone.layer3.22.conv1.weight', 'ResNet-101 .*r101.*, the model.s ResNet-50 .*r50'),
        (
            'backbone.stages.2.blocks.5.norm1.weight',
            'a Swin with 6 blocks in its third stage',
        ),
    ],
)
def test_another_backbone_is_said(key, words):
    head = {'panoptic_head.x': torch.zeros(2, 2)}
    model = {f'backbone.layer3.{n}.conv1.weight': torch.zeros(1) for n in range(6)}
    weights = {**head, key: torch.zeros(1)}
    faults = {'missing': [key], 'left over': [], 'of another shape': []}
    assert re.search(f'its backbone is {words}', fit_hint(weights, {**head, **model}, faults))
    # Of another system, the system is said.
    assert 'looks like a Mask2Former' in fit_hint(weights, model, faults)


def test_another_number_of_classes_is_said():
    model = nn.ModuleDict(dict(fc_cls=nn.Linear(3, 5), other=nn.Linear(3, 3)))
    weights = dict(model.state_dict())
    weights['fc_cls.weight'], weights['fc_cls.bias'] = torch.zeros(7, 3), torch.zeros(7)
    with pytest.raises(InputError, match='; its class layers differ: .*num_classes'):
        load_weights(model, weights, 'x.pth')


def test_many_keys_are_told_by_module():
    model = nn.ModuleDict(dict(neck=nn.Sequential(*[nn.Linear(2, 2) for _ in range(4)])))
    with pytest.raises(InputError, match=r'8 keys missing \(first: .*; neck.0 2, neck.1 2'):
        load_weights(model, {'x': torch.zeros(1)}, 'x.pth')


@pytest.mark.parametrize(
    ('meta', 'names'),
    [
        (dict(CLASSES=('cat', 'dog')), ('cat', 'dog')),
        (dict(dataset_meta=dict(classes=['cat', 'dog'])), ('cat', 'dog')),
        (dict(dataset_meta=dict(CLASSES=('cat', 'dog'))), ('cat', 'dog')),
        (dict(CLASSES=3), None),
        (None, None),
    ],
)
def test_class_names_of_any_runner_are_found(meta, names):
    assert checkpoint_class_names({'meta': meta}, 2, 'x.pth') == names
