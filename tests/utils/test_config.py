import sys

import pytest

from tevit_vis.utils.config import find_config, load_config
from tevit_vis.utils.errors import InputError


@pytest.mark.parametrize(
    'name',
    [
        'tevit_msgshift',
        'tevit_msgshift_mstrain',
        'tevit_r50',
        'tevit_r50_mstrain',
        'tevit_swin-l_mstrain',
    ],
)
def test_configs_are_found_by_name_and_print(name):
    config = load_config(f'tevit/{name}')
    assert find_config(f'tevit/{name}.py') == find_config(f'tevit/{name}')
    assert len(config.model.roi_head.bbox_head) == 6
    assert 'STQIHead' in config.pretty_text


def test_multiscale_training_differs_in_the_scale_alone():
    plain = load_config('tevit/tevit_r50').data.train.pipeline
    multiscale = load_config('tevit/tevit_r50_mstrain').data.train.pipeline
    changed = [a for a, b in zip(plain, multiscale) if a != b]
    assert len(plain) == len(multiscale)
    assert [step['type'] for step in changed] == ['Resize']


def test_swin_sizes():
    data = load_config('tevit/tevit_swin-l_mstrain').data
    scales = data.train.pipeline[2].img_scale
    assert (scales[0], scales[-1], len(scales)) == ((1333, 320), (1333, 800), 16)
    assert data.test.pipeline[1].img_scale == data.val.pipeline[1].img_scale == (1333, 480)


def test_options_change_one_stage_alone():
    config = load_config('tevit/tevit_r50', {'model.roi_head.bbox_head.2.dropout': 0.1})
    assert [head.dropout for head in config.model.roi_head.bbox_head] == [0, 0, 0.1, 0, 0, 0]


def test_arguments_of_what_is_built_are_options():
    options = {'model.backbone.num_msg_tokens': 16, 'model.backbone.drop_path_rate': 0.0}
    assert load_config('tevit/tevit_msgshift', options).model.backbone.num_msg_tokens == 16


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('model.backbnoe.depth', "model has no key 'backbnoe'; did you mean 'backbone'"),
        ('modle', "the config has no key 'modle'; did you mean 'model'"),
        ('model.backbone.dpeth', "model.backbone has no key 'dpeth'; did you mean 'depth'"),
        ('model.roi_head.bbox_head.6.dropout', "is a list of 6, so '6' must be an index"),
        ('model.roi_head.num_stages.x', "is 6, which has no key 'x'"),
    ],
)
def test_unknown_options_are_named(option, message):
    with pytest.raises(InputError, match=f'--cfg-options {option}: .*{message}'):
        load_config('tevit/tevit_r50', {option: 1})


def test_an_absent_config_is_named_with_the_nearest():
    with pytest.raises(InputError, match='did you mean tevit/tevit_msgshift'):
        find_config('tevit/tevit_msgshft')


def test_a_config_that_is_no_python_is_named(tmp_path):
    path = tmp_path / 'bad.py'
    path.write_text('model = dict(\n')
    with pytest.raises(InputError, match='bad.py: config cannot be read'):
        load_config(str(path))


@pytest.mark.parametrize('base', ['synthetic/tevit_tiny', 'synthetic/tevit_tiny.py'])
def test_a_base_is_found_by_name(tmp_path, base):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = ['{base}']\nmodel = dict(test_cfg=dict(frames_per_pass=3))\n")
    config = load_config(str(path))
    assert config.model.test_cfg.frames_per_pass == 3
    assert config.model.type == 'TeViT'
    beside = tmp_path / 'other.py'
    beside.write_text("_base_ = 'mine.py'\n")
    assert load_config(str(beside)).model.test_cfg.frames_per_pass == 3


def test_a_base_may_be_an_absolute_path(tmp_path):
    (tmp_path / 'configs').mkdir()
    path = tmp_path / 'configs' / 'mine.py'
    path.write_text(f"_base_ = '{find_config('synthetic/ifc_tiny').resolve()}'\n")
    assert load_config(str(path)).model.type == 'IFC'


@pytest.mark.parametrize(
    ('value', 'scale'), [([160, 88], (160, 88)), ([[160, 88], [80, 44]], [(160, 88), (80, 44)])]
)
def test_a_scale_may_be_a_list(value, scale):
    options = {'data.test.pipeline.resize.img_scale': value}
    config = load_config('synthetic/tevit_tiny', options)
    assert [step.img_scale for step in config.data.test.pipeline if 'img_scale' in step] == [scale]


def test_a_base_that_is_not_there_is_named_with_the_nearest(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'synthetic/tevit_tinny'\n")
    with pytest.raises(InputError, match='mine.py: .*_base_: .*did you mean synthetic/tevit_tiny'):
        load_config(str(path))


@pytest.mark.parametrize('base', ['./my_base/synthetic/tevit_tiny.py', '/none/tevit/tevit_r50.py'])
def test_a_path_that_is_not_there_is_no_name(tmp_path, base):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = '{base}'\n")
    with pytest.raises(InputError, match='mine.py: .*_base_: .*must be a file'):
        load_config(str(path))


@pytest.mark.parametrize(
    ('name', 'content'),
    [('evil.yaml', '!!python/object/apply:os.mkdir [ran]'), ('data.json', '{"model": {}}')],
)
def test_configs_are_python_alone(tmp_path, monkeypatch, name, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f'{name}: config must be a Python file'):
        load_config(name)
    (tmp_path / 'mine.py').write_text(f"_base_ = '{name}'\n")
    with pytest.raises(InputError, match=f'mine.py: .*_base_: {name} must be a Python file'):
        load_config('mine.py')
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize(
    ('option', 'value'),
    [('model', 1), ('model', None), ('model.backbone', 'R50'), ('lr_config', [1]), ('data', 0.5)],
)
def test_sections_stay_sections(option, value):
    with pytest.raises(InputError, match=f'--cfg-options {option}: must stay a section'):
        load_config('tevit/tevit_r50', {option: value})


def test_sections_that_may_be_absent_may_be_removed():
    config = load_config('tevit/tevit_r50', {'model.backbone.init_cfg': None})
    assert config.model.backbone.init_cfg is None


def own_config(tmp_path, module, content, extra=''):
    (tmp_path / f'{module}.py').write_text(content)
    path = tmp_path / 'mine.py'
    path.write_text(
        f"_base_ = 'synthetic/tevit_tiny'\ncustom_imports = dict(imports=['{module}']{extra})\n"
    )
    return str(path)


def test_own_modules_beside_a_config_are_imported(tmp_path):
    load_config(own_config(tmp_path, 'own_module_beside', 'NAME = "found"\n'))
    assert sys.modules['own_module_beside'].NAME == 'found'


@pytest.mark.parametrize(
    ('name', 'content', 'words'),
    [
        ('own_one', 'import not_installed_anywhere', "No module named 'not_installed_anywhere'"),
        ('own_two', 'from mmdet.datasets import NoSuchThing', "cannot import name 'NoSuchThing'"),
    ],
)
def test_own_modules_that_cannot_be_imported_are_named(tmp_path, name, content, words):
    path = own_config(tmp_path, name, f'{content}\n')
    with pytest.raises(InputError, match=f'mine.py: custom_imports: {name} .*{words}'):
        load_config(path)
    load_config(own_config(tmp_path, name, content, ', allow_failed_imports=True'))


def test_an_absent_own_module_is_named(tmp_path):
    path = own_config(tmp_path, 'own_module', '')
    (tmp_path / 'own_module.py').unlink()
    with pytest.raises(InputError, match="own_module must be a module .*the config's folder"):
        load_config(path)


def test_a_bug_in_an_own_module_is_not_swallowed(tmp_path):
    with pytest.raises(ZeroDivisionError):
        load_config(own_config(tmp_path, 'own_module_bug', '1 / 0\n'))


def test_the_line_of_a_configs_own_fault_is_told(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'synthetic/tevit_tiny'\n\nx = y + 1\n")
    with pytest.raises(InputError, match="mine.py: config cannot be read: line 3: name 'y'"):
        load_config(str(path))
