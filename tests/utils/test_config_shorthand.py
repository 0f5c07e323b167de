"""What config files write once, written out."""

import pytest
from mmcv import Config

from tevit_vis.apis import init_model
from tevit_vis.datasets import FramePipeline
from tevit_vis.utils.config import find_config, known_configs, load_config
from tevit_vis.utils.config_shorthand import expand_shorthand
from tevit_vis.utils.errors import InputError


def write(folder, text):
    path = folder / 'mine.py'
    path.write_text(text)
    return str(path)


def types(pipeline):
    return [step.type for step in pipeline]


def test_a_config_changes_one_step_by_its_name(tmp_path):
    path = write(
        tmp_path,
        "_base_ = 'tevit/tevit_msgshift'\n"
        'smaller = dict(pipeline=dict(resize=dict(img_scale=(320, 180)), pad=None))\n'
        'data = dict(val=smaller, test=smaller)\n',
    )
    ours, base = load_config(path), load_config('tevit/tevit_msgshift')
    for split in ('val', 'test'):
        steps = ours.data[split].pipeline
        expected = [name for name in types(base.data[split].pipeline) if name != 'Pad']
        assert types(steps) == expected
        assert steps[1] == dict(type='Resize', img_scale=(320, 180), keep_ratio=True)
    assert ours.data.train == base.data.train


def test_a_list_of_steps_replaces_all(tmp_path):
    steps = "[dict(type='LoadImageFromFile'), dict(type='DefaultFormatBundle')]"
    path = write(
        tmp_path, f"_base_ = 'tevit/tevit_r50'\ndata = dict(test=dict(pipeline={steps}))\n"
    )
    assert types(load_config(path).data.test.pipeline) == [
        'LoadImageFromFile',
        'DefaultFormatBundle',
    ]


def test_pipelines_of_joined_data_sets_are_written_out():
    config = load_config('seqformer/seqformer_r50_joint')
    for part in config.data.train.datasets:
        assert types(part.pipeline)[0] == 'LoadImageFromFile'


def test_a_stage_stands_for_all_and_each_can_be_changed():
    config = load_config('tevit/tevit_r50', {'model.roi_head.bbox_head.2.num_heads': 4})
    assert [stage.num_heads for stage in config.model.roi_head.bbox_head] == [8, 8, 4, 8, 8, 8]
    assert config.model.roi_head.stage_loss_weights == [1] * 6
    first, second = load_config('tevit/tevit_r50').model.roi_head.mask_head[:2]
    first.num_convs = 1  # a change in place reaches one stage alone
    assert second.num_convs == 4
    assert len(config.model.train_cfg.rcnn) == len(config.model.roi_head.mask_head) == 6
    assert len(load_config('synthetic/tevit_tiny').model.train_cfg.rcnn) == 3


def test_stages_that_differ_stay_as_they_are():
    heads = [dict(num_heads=1), dict(num_heads=2)]
    roi_head = dict(num_stages=2, bbox_head=heads, stage_loss_weights=[1, 2])
    config = expand_shorthand(Config(dict(model=dict(roi_head=roi_head))))
    assert config.model.roi_head == roi_head


@pytest.mark.parametrize('name', known_configs())
def test_what_mmcv_reads_without_us_serves_the_pipeline(name):
    """A raw config has named steps; data sets take them, too."""
    raw = Config.fromfile(str(find_config(name)), import_custom_modules=False)
    assert isinstance(raw.data.test.pipeline, dict)
    steps = FramePipeline(raw.data.test.pipeline).transform.transforms
    expected = FramePipeline(load_config(name).data.test.pipeline).transform.transforms
    assert list(map(repr, steps)) == list(map(repr, expected))


def test_an_option_names_a_step_or_its_index():
    for step in ('resize', '1'):
        options = {f'data.test.pipeline.{step}.img_scale': (96, 64)}
        config = load_config('tevit/tevit_r50', options)
        assert config.data.test.pipeline[1].img_scale == (96, 64)
    with pytest.raises(InputError, match="'resise' must be an index"):
        load_config('tevit/tevit_r50', {'data.test.pipeline.resise.img_scale': 1})


def test_a_raw_config_trains_and_predicts_like_ours(tmp_path):
    raw = Config.fromfile(str(find_config('synthetic/tevit_tiny')), import_custom_modules=False)
    assert init_model(raw, device='cpu').num_classes == 5
    assert isinstance(raw.model.roi_head.bbox_head, dict)  # the caller's config stays as it was
    raw.workflow = [('train', 1), ('val', 1)]  # of no concern here
    assert init_model(raw, device='cpu').num_classes == 5
