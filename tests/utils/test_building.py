"""Faults of a config are one line; bugs, also of a user's own module, keep their traceback."""

import sys
from importlib import invalidate_caches

import pytest
from mmcv.utils import Registry
from mmdet.models import build_detector
from mmdet.models.builder import BACKBONES

from tevit_vis.utils.building import build
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError

OWN = """
from mmdet.models.builder import BACKBONES
from torch import nn

@BACKBONES.register_module(force=True)
class {name}(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        {body}
"""


@pytest.fixture
def own_backbone(tmp_path, monkeypatch):
    """Makes a module with a backbone whose constructor runs some code."""

    def make(body, name='OwnBackbone'):
        (tmp_path / 'own_backbone.py').write_text(OWN.format(name=name, body=body))
        monkeypatch.syspath_prepend(str(tmp_path))
        sys.modules.pop('own_backbone', None)
        invalidate_caches()
        __import__('own_backbone')
        return dict(type=name)

    yield make
    BACKBONES.module_dict.pop('OwnBackbone', None)
    sys.modules.pop('own_backbone', None)


def build_with(backbone):
    config = load_config('synthetic/tevit_tiny')
    config.model.backbone = backbone
    return build('model', lambda: build_detector(config.model))


@pytest.mark.parametrize(
    ('body', 'kind'),
    [
        ('None.shape', AttributeError),
        ('self.conv = nn.Conv2d(3, 4)', TypeError),
        ("{}['width']", KeyError),
        ("int('three')", ValueError),
        ('assert width == 4', AssertionError),
        ('nn.Conv2d(3, 5, 1, groups=2)', ValueError),
    ],
)
def test_a_bug_in_ones_own_module_is_not_swallowed(own_backbone, body, kind):
    with pytest.raises(kind) as caught:
        build_with(own_backbone(body))
    assert not isinstance(caught.value, InputError)
    cause = caught.value
    while cause.__context__ is not None:
        cause = cause.__context__
    files = []
    tb = cause.__traceback__
    while tb is not None:
        files.append(tb.tb_frame.f_code.co_filename)
        tb = tb.tb_next
    assert any(file.endswith('own_backbone.py') for file in files)


@pytest.mark.parametrize(
    ('backbone', 'words'),
    [
        (dict(type='ResNte', depth=50), "ResNte is not in the .*; did you mean 'ResNet'"),
        (dict(type='ResNet', depth=51), 'invalid depth 51 for resnet'),
        (dict(type='ResNet', depth=50, width=3), "unexpected keyword argument 'width'"),
        (dict(type='ResNet'), "missing 1 required positional argument: 'depth'"),
        (dict(type='MsgShifT', embed_dim=3), "unexpected keyword argument 'embed_dim'"),
    ],
)
def test_what_a_library_refuses_is_one_line(backbone, words):
    with pytest.raises(InputError, match=f'config: model cannot be built: .*{words}') as caught:
        build_with(backbone)
    assert '\n' not in str(caught.value)


def test_ones_own_class_with_a_wrong_argument_is_one_line(own_backbone):
    backbone = dict(own_backbone('pass'), wdith=3)
    with pytest.raises(InputError, match="unexpected keyword argument 'wdith'"):
        build_with(backbone)


def test_an_input_error_inside_comes_as_it_is():
    registry = Registry('things')

    @registry.register_module()
    class Thing:
        def __init__(self):
            raise InputError('thing: must be another')

    with pytest.raises(InputError, match='^thing: must be another$'):
        build('a thing', lambda: registry.build(dict(type='Thing')))
