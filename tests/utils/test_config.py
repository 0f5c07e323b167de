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
