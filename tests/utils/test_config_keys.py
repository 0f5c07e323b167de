"""Keys of configs: what is built takes them, and nothing else is a key."""

import pytest
from mmdet.models import build_detector

from tevit_vis import apis  # noqa: F401  (registers hooks)
from tevit_vis.utils.building import build
from tevit_vis.utils.config import apply_options, load_config
from tevit_vis.utils.errors import InputError

TEVIT, SEQFORMER = 'tevit/tevit_msgshift', 'seqformer/seqformer_r50_ytvis19'
COST = 'model.train_cfg.rcnn.0.assigner'


def value_of(config, key):
    node = config._cfg_dict
    for part in key.split('.'):
        node = node[int(part)] if isinstance(node, list) else node[part]
    return node


@pytest.mark.parametrize(
    ('name', 'option', 'value'),
    [
        (TEVIT, 'checkpoint_config.max_keep_ckpts', 3),
        (TEVIT, 'lr_config.gamma', 0.5),
        (TEVIT, 'lr_config.by_epoch', False),
        (TEVIT, 'lr_config.min_lr', 1e-6),
        (TEVIT, 'optimizer_config.grad_clip.max_norm', 1.0),
        (TEVIT, 'log_config.interval', 10),
        (TEVIT, f'{COST}.costs.0.costs.0.alpha', 0.3),
        (TEVIT, f'{COST}.costs.0.costs.1.box_format', 'xywh'),
        (TEVIT, 'model.test_cfg.drop_empty', True),
        (TEVIT, 'model.test_cfg.min_mask_score', 0.2),
        (TEVIT, 'model.test_cfg.rcnn.max_per_img', 3),
        (SEQFORMER, 'model.bbox_head.encoder.mixer', None),
        (SEQFORMER, 'model.bbox_head.decoder.box_mixer', None),
        (SEQFORMER, 'model.train_cfg.assigner.costs.0.gamma', 1.0),
        (TEVIT, 'work_dir', 'somewhere'),
        (TEVIT, 'find_unused_parameters', True),
        (TEVIT, 'cudnn_benchmark', True),
        (TEVIT, 'optimizer.paramwise_cfg.norm_decay_mult', 0.0),
        (TEVIT, 'optimizer.paramwise_cfg.custom_keys.neck', {'lr_mult': 0.5}),
        (TEVIT, 'optimizer.betas', (0.9, 0.99)),
        (TEVIT, 'evaluation.save_best', None),
        (TEVIT, 'data.train.annotated_only', False),
        (TEVIT, 'runner.max_iters', 5),
        (TEVIT, 'model.neck.upsample_cfg.mode', 'bilinear'),
        (TEVIT, 'fp16.loss_scale', 'dynamic'),
        (TEVIT, 'model.backbone.init_cfg.prefix', 'backbone.'),
        (TEVIT, 'model.train_cfg.rcnn.0.soft_mask_target', True),
        (TEVIT, 'model.roi_head.bbox_roi_extractor.roi_layer.aligned', True),
        ('ms_sts/ms_sts_r50_ytvis19', 'adversary.optimizer.paramwise_cfg.bias_lr_mult', 2.0),
        (TEVIT, 'custom_hooks', [dict(type='ProgressBarHook', priority='LOW')]),
        (TEVIT, 'log_config.hooks.0.priority', 'LOW'),
    ],
)
def test_what_is_built_takes_the_key(name, option, value):
    assert value_of(load_config(name, {option: value}), option) == value


@pytest.mark.parametrize(
    ('name', 'option', 'words'),
    [
        (TEVIT, 'checkpoint_config.max_keep_ckpt', "did you mean 'max_keep_ckpts'"),
        (TEVIT, 'lr_config.gama', "did you mean 'gamma'"),
        (TEVIT, 'optimizer_config.grad_clip.maxnorm', "did you mean 'max_norm'"),
        (TEVIT, f'{COST}.costs.0.costs.0.aplha', "did you mean 'alpha'"),
        (TEVIT, 'model.test_cfg.drop_emtpy', "did you mean 'drop_empty'"),
        (TEVIT, 'model.test_cfg.rcnn.max_per_image', "did you mean 'max_per_img'"),
        (SEQFORMER, 'model.bbox_head.encoder.mixr', "did you mean 'mixer'"),
        (SEQFORMER, 'model.test_cfg.rois_per_pass', 'has no key'),
        (TEVIT, 'model.test_cfg.windows.min_iou', 'it is model.test_cfg.tracker.min_iou now'),
        (TEVIT, f'{COST}.reg_cost.weight', r'it is model.train_cfg.*costs.0.costs.1 now'),
        (SEQFORMER, 'model.train_cfg.assigner.box_weight', r'assigner.costs.1.weight now'),
        (TEVIT, 'workdir', "did you mean 'work_dir'"),
        (TEVIT, 'cudnn_bench', "did you mean 'cudnn_benchmark'"),
        (TEVIT, 'runner.max_iter', "did you mean 'max_iters'"),
    ],
)
def test_a_wrong_key_names_the_nearest(name, option, words):
    with pytest.raises(InputError, match=words):
        load_config(name, {option: 1})


@pytest.mark.parametrize('name', ['TeViTHungarianAssigner', 'SeqFormerAssigner', 'IFCAssigner'])
def test_a_renamed_type_is_told_its_new_name(name):
    model = load_config(SEQFORMER).model
    model.train_cfg.assigner = dict(type=name)
    model.backbone.init_cfg = None
    with pytest.raises(InputError, match=r'it is TubeHungarianAssigner, whose costs are a list'):
        build('model', lambda: build_detector(model))


def test_a_policy_or_type_among_the_options_counts():
    config = load_config('synthetic/tevit_tiny', {'lr_config.policy': 'step', 'lr_config.step': 1})
    assert config.lr_config.step == 1
    with pytest.raises(InputError, match="lr_config has no key 'step'"):
        load_config('synthetic/tevit_tiny', {'lr_config.step': 1})  # CosineAnnealing
    load_config(TEVIT, {'optimizer.type': 'SGD', 'optimizer.momentum': 0.9})


def test_a_new_section_takes_the_keys_of_its_type():
    options = {
        'model.bbox_head.encoder.mixer.type': 'SplitAttention',
        'model.bbox_head.encoder.mixer.num_heads': 4,
    }
    config = load_config(SEQFORMER, options)
    assert config.model.bbox_head.encoder.mixer == dict(type='SplitAttention', num_heads=4)
    assert load_config(TEVIT, {'model.neck.norm_cfg.type': 'BN'}).model.neck.norm_cfg.type == 'BN'


@pytest.mark.parametrize(
    ('option', 'value', 'words'),
    [
        ('model.test_cfg', dict(drop_emtpy=True), "did you mean 'drop_empty'"),
        ('model.test_cfg.windows', dict(lenght=3), "did you mean 'length'"),
        ('log_config', dict(intervall=3), "did you mean 'interval'"),
        ('workflow', [('train', 1), ('val', 1)], 'workflow: must be'),
        ('runner.type', 'EpochBasedRunner', 'epochs = dict'),
    ],
)
def test_values_are_checked_like_the_file(option, value, words):
    with pytest.raises(InputError, match=words):
        load_config(TEVIT, {option: value})


def test_a_section_that_is_none_takes_keys():
    options = {'optimizer_config.grad_clip.max_norm': 2.0}
    config = load_config('synthetic/tevit_tiny')
    config.optimizer_config.grad_clip = None
    assert apply_options(config, options).optimizer_config.grad_clip.max_norm == 2.0


@pytest.mark.parametrize(
    ('lines', 'words'),
    [
        ('optimzer = dict(lr=1)', "has no key 'optimzer'; did you mean 'optimizer'"),
        ("workflow = [('train', 1), ('val', 1)]", r"workflow: must be \[\('train', 1\)\]"),
        ("runner = dict(_delete_=True, type='EpochBasedRunner', max_epochs=3)", 'epochs = dict'),
        ("optimizer_config = dict(type='Fp16OptimizerHook')", 'amp'),
    ],
)
def test_a_config_file_has_no_foreign_keys(tmp_path, lines, words):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = 'synthetic/tevit_tiny'\n{lines}\n")
    with pytest.raises(InputError, match=f'mine.py: .*{words}'):
        load_config(str(path))


def test_names_of_a_files_own_stay_variables(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'synthetic/tevit_tiny'\nfolder = 'x'\nworkflow = [('train', 1)]\n")
    assert load_config(str(path)).folder == 'x'
