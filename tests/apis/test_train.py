"""Training as users run it: tools/train.py's functions on a tiny model, on the CPU."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import batch
from manifest import override
from mmcv.runner import HOOKS, Hook
from mmdet.models import build_detector
from mmdet.utils import get_root_logger

from tevit_vis.apis import (
    TrainOptions,
    hooks,
    init_model,
    scale_schedule,
    train,
    training,
    write_submission,
)
from tevit_vis.apis.build import build_model
from tevit_vis.apis.hooks import ValidationHook
from tevit_vis.apis.journal import ResultsJournal
from tevit_vis.apis.runner import total_loss
from tevit_vis.apis.schedule import epochs_to_iters
from tevit_vis.datasets import YouTubeVISDataset, build_dataset
from tevit_vis.rle import mask_areas
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError

LOGGER = logging.getLogger('test_train')


@pytest.fixture
def config(tiny_config, train_files):
    """The tiny TeViT with two classes on the tiny data set: 2 clips of 2 frames, 4 iterations."""
    annotations, images = map(str, train_files)
    unscaled = [step for step in tiny_config.data.train.pipeline if step['type'] != 'Resize']
    files = dict(ann_file=annotations, img_prefix=images, categories=None)
    tiny_config.data.train.update(files, clip_length=2, pipeline=unscaled)
    tiny_config.data.val.update(files, pipeline=tiny_config.data.test.pipeline)
    tiny_config.data.update(samples_per_gpu=2, workers_per_gpu=0)
    for key in ('bbox_head.*.num_classes', 'mask_head.*.num_classes'):
        override(tiny_config._cfg_dict, ['model', 'roi_head', *key.split('.')], 2)
    tiny_config.model.backbone.init_cfg = None
    tiny_config.optimizer.lr = 1e-3
    tiny_config.lr_config = dict(policy='step', step=[3])
    tiny_config.runner.max_iters = 4
    tiny_config.checkpoint_config.interval = 2
    tiny_config.evaluation.interval = 4
    tiny_config.log_config.interval = 1
    return tiny_config


def run(config, work_dir, **options):
    os.makedirs(work_dir, exist_ok=True)
    options = TrainOptions(str(work_dir), validate=False, device='cpu', timestamp='log', **options)
    train(config, options, LOGGER)
    lines = map(json.loads, (Path(work_dir) / 'log.log.json').read_text().splitlines())
    return {line['iter']: line['loss'] for line in lines if 'loss' in line}


def weights(path, key='state_dict'):
    return torch.load(path)[key]


def same(first, second):
    return all(torch.equal(first[key], second[key]) for key in {**first, **second})


def test_training_lowers_the_loss_and_writes_checkpoints(config, tmp_path):
    config.runner.max_iters = 12
    config.lr_config.step = [100]
    losses = run(config, tmp_path)
    assert losses[12] < losses[1]
    assert (tmp_path / 'latest.pth').resolve() == tmp_path / 'iter_12.pth'
    checkpoint = torch.load(tmp_path / 'iter_12.pth')  # weights_only: no Python objects
    assert checkpoint['meta']['CLASSES'] == ('cat', 'dog')
    assert checkpoint['meta']['iter'] == 12


@pytest.fixture
def adversarial(config, ms_sts_config):
    """A tiny MS-STS that is trained on the same data."""
    ms_sts_config.data.train.update(config.data.train)
    ms_sts_config.data.val.update(config.data.val)
    ms_sts_config.data.update(samples_per_gpu=2, workers_per_gpu=0)
    ms_sts_config.model.bbox_head.num_classes = 2
    for key in ('lr_config', 'runner', 'checkpoint_config', 'evaluation', 'log_config'):
        ms_sts_config[key] = config[key]
    ms_sts_config.weight_average = dict(decay=None)
    return ms_sts_config


@pytest.mark.parametrize('averaged', [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_resumed_run_ends_like_a_straight_one(config, tmp_path, averaged):
    config.model.backbone.drop_path_rate = 0.3  # the model's own randomness must resume too
    config.weight_average = dict(decay=0.5 if averaged else None)
    straight = run(config, tmp_path / 'a')
    config.runner.max_iters = 2
    first = run(config, tmp_path / 'b')
    config.runner.max_iters = 4
    rest = run(config, tmp_path / 'b', resume_from=str(tmp_path / 'b' / 'latest.pth'))
    assert {**first, **rest} == straight
    for key in ('state_dict', 'train_state_dict') if averaged else ('state_dict',):
        ends = [weights(tmp_path / name / 'iter_4.pth', key) for name in 'ab']
        assert same(*ends)
    if averaged:
        assert not same(ends[0], weights(tmp_path / 'a' / 'iter_4.pth'))


@pytest.mark.slow
@pytest.mark.parametrize('averaged', [False, True])
def test_a_resumed_adversary_goes_on_too(adversarial, tmp_path, averaged):
    adversarial.weight_average.decay = 0.5 if averaged else None
    straight = run(adversarial, tmp_path / 'a')
    adversarial.runner.max_iters = 2
    first = run(adversarial, tmp_path / 'b')
    adversarial.runner.max_iters = 4
    rest = run(adversarial, tmp_path / 'b', resume_from=str(tmp_path / 'b' / 'latest.pth'))
    assert {**first, **rest} == straight
    for key in ('state_dict', 'adversary'):
        ends = [weights(tmp_path / name / 'iter_4.pth', key) for name in 'ab']
        assert same(*ends)
        assert not same(ends[0], weights(tmp_path / 'a' / 'iter_2.pth', key))
    # At inference there is none.
    model = init_model(adversarial, str(tmp_path / 'a' / 'latest.pth'), 'cpu')
    assert not any('discriminator' in name for name, _ in model.named_parameters())


@pytest.mark.slow
@pytest.mark.parametrize('option', ['bf16', 'accumulated'])
def test_an_adversary_learns_in_bf16_and_from_several_batches(adversarial, tmp_path, option):
    adversarial.runner.max_iters = 8
    adversarial.checkpoint_config.interval = 8
    if option == 'bf16':
        adversarial.amp = 'bf16'
    else:
        adversarial.optimizer_config.cumulative_iters = 4
    losses = run(adversarial, tmp_path)
    assert np.isfinite(list(losses.values())).all()
    steps = torch.load(tmp_path / 'iter_8.pth')['optimizer']['adversary']['state'][0]['step']
    assert steps == (8 if option == 'bf16' else 2)


def test_an_adversary_follows_the_batch_size():
    config = load_config('ms_sts/ms_sts_r50_joint')
    assert scale_schedule(config, clips=5) == 0.5
    assert config.optimizer.lr == pytest.approx(1e-4)
    assert config.adversary.optimizer.lr == pytest.approx(5e-5)


@pytest.mark.slow
def test_an_adversary_leaves_no_trace_at_weight_zero(adversarial, tmp_path):
    adversarial.adversary.loss.loss_weight = 0.0
    with_one = run(adversarial, tmp_path / 'a')
    drawn = weights(tmp_path / 'a' / 'iter_2.pth', 'adversary')
    assert not same(drawn, weights(tmp_path / 'a' / 'iter_4.pth', 'adversary'))  # it learns
    adversarial.adversary = None
    without = run(adversarial, tmp_path / 'b')
    assert with_one != without  # by the discriminator's own loss
    assert same(*(weights(tmp_path / name / 'iter_4.pth') for name in 'ab'))


def test_an_adversary_that_cannot_be_is_refused(config, adversarial, tmp_path):
    config.adversary = adversarial.adversary
    with pytest.raises(
        InputError, match=r'adversary: must be None for TeViT, which does not support'
    ):
        run(config, tmp_path / 'a')
    whole = adversarial.adversary
    adversarial.adversary = dict(loss=whole.loss)
    with pytest.raises(InputError, match=r'adversary: must be None or have loss and optimizer'):
        run(adversarial, tmp_path / 'b')
    adversarial.adversary = None
    run(adversarial, tmp_path / 'c')
    adversarial.adversary = whole
    with pytest.raises(InputError, match=r'must be of a run with an adversary to resume from'):
        run(adversarial, tmp_path / 'c', resume_from=str(tmp_path / 'c' / 'latest.pth'))
    run(adversarial, tmp_path / 'd')
    adversarial.adversary = None
    with pytest.raises(InputError, match=r'must not be of a run with an adversary'):
        run(adversarial, tmp_path / 'd', resume_from=str(tmp_path / 'd' / 'latest.pth'))


@pytest.mark.slow
@pytest.mark.parametrize('annotations', ['none', 'one frame'])
def test_an_adversary_bears_clips_without_foreground(adversarial, tmp_path, annotations):
    if annotations == 'none':
        keep_annotations(adversarial, tmp_path, slice(0, 0))
        adversarial.data.train.annotated_only = False
    else:
        keep_one_frame(adversarial, tmp_path)
        adversarial.data.train.clip_length = 1
    losses = run(adversarial, tmp_path)
    assert np.isfinite(list(losses.values())).all()


def without_batch_norm(config):
    """Batch norm's statistics and drop path depend on what shares a batch."""
    config.model.backbone.drop_path_rate = 0.0
    for head in config.model.roi_head.mask_head:
        head.norm_cfg = dict(type='GN', num_groups=4)


def keep_one_frame(config, tmp_path):
    content = json.loads(Path(config.data.train.ann_file).read_text())
    video, entry = content['videos'][1], content['annotations'][2]
    video.update(length=1, file_names=video['file_names'][:1])
    for key in ('segmentations', 'areas', 'bboxes'):
        entry[key] = entry[key][:1]
    content.update(videos=[video], annotations=[entry])
    config.data.train.ann_file = str(tmp_path / 'few.json')
    Path(config.data.train.ann_file).write_text(json.dumps(content))


def keep_annotations(config, tmp_path, kept):
    content = json.loads(Path(config.data.train.ann_file).read_text())
    content['annotations'] = content['annotations'][kept]
    config.data.train.ann_file = str(tmp_path / 'few.json')
    Path(config.data.train.ann_file).write_text(json.dumps(content))


def test_accumulated_gradients_equal_a_larger_batch(config, tmp_path):
    """All clips are the same: the order of clips depends on how many share a batch."""
    without_batch_norm(config)
    keep_one_frame(config, tmp_path)
    config.data.train.pipeline = [
        dict(step, flip_ratio=0.0) if step['type'] == 'RandomFlip' else step
        for step in config.data.train.pipeline
    ]
    config.optimizer_config.grad_clip = None
    config.optimizer = dict(type='SGD', lr=0.1)
    config.lr_config.step = [100]
    config.checkpoint_config.interval = 1
    config.runner.max_iters = 1
    run(config, tmp_path / 'two at once')
    config.data.samples_per_gpu = 1
    config.optimizer_config.cumulative_iters = 2
    config.runner.max_iters = 2
    run(config, tmp_path / 'one by one')
    assert not (tmp_path / 'one by one' / 'iter_1.pth').exists()  # between two steps
    start = build_model(config, ('cat', 'dog'), TrainOptions(''), LOGGER).state_dict()
    large = weights(tmp_path / 'two at once' / 'iter_1.pth')
    small = weights(tmp_path / 'one by one' / 'iter_2.pth')
    for key, value in large.items():
        moved = (value - start[key]).float().norm()
        assert (small[key] - value).float().norm() <= 0.01 * moved + 1e-6, key
    assert not same(large, start)


def test_averaged_weights_move_by_their_decay(config, tmp_path):
    config.weight_average = dict(decay=0.25)
    config.checkpoint_config.interval = 1
    config.runner.max_iters = 2
    run(config, tmp_path)
    first, second = (weights(tmp_path / f'iter_{n}.pth', 'train_state_dict') for n in (1, 2))
    key = 'roi_head.bbox_head.0.fc_reg.weight'
    kept = (1 + 1) / (10 + 1)  # the second average is still warming up, to 0.25
    expected = kept * first[key] + (1 - kept) * second[key]
    assert torch.allclose(weights(tmp_path / 'iter_2.pth')[key], expected, atol=1e-7)
    assert not torch.equal(first[key], second[key])


def test_the_tested_model_is_the_saved_one(config, tmp_path, monkeypatch):
    tested = []
    monkeypatch.setattr(hooks, 'write_submission', lambda model, *_, **__: tested.append(
        {key: value.clone() for key, value in model.state_dict().items()}))  # fmt: skip
    monkeypatch.setattr(hooks.ValidationHook, '_score', lambda *_: None)
    config.weight_average = dict(decay=0.5)
    train(config, TrainOptions(str(tmp_path), device='cpu', timestamp='log'), LOGGER)
    assert same(tested[-1], weights(tmp_path / 'iter_4.pth'))
    assert not same(tested[-1], weights(tmp_path / 'iter_4.pth', 'train_state_dict'))


def test_the_best_checkpoint_is_kept_also_by_a_resumed_run(config, tmp_path, monkeypatch):
    scores = iter([0.5, 0.4, 0.3, 0.6])
    monkeypatch.setattr(
        YouTubeVISDataset, 'evaluate', lambda *_: {'segm_AP': next(scores), 'segm_AP50': 0.0}
    )
    config.evaluation.interval = 1
    config.checkpoint_config.interval = 1

    def go_on(iters, **options):
        config.runner.max_iters = iters
        train(config, TrainOptions(str(tmp_path), device='cpu', timestamp='log', **options), LOGGER)
        return [path.name for path in tmp_path.glob('best*')]

    assert go_on(2) == ['best_segm_AP_iter_1.pth']
    latest = str(tmp_path / 'latest.pth')
    assert go_on(3, resume_from=latest) == ['best_segm_AP_iter_1.pth']
    assert go_on(4, resume_from=latest) == ['best_segm_AP_iter_4.pth']
    lines = map(json.loads, (tmp_path / 'log.log.json').read_text().splitlines())
    modes = {line['mode'] for line in lines if 'segm_AP' in line}
    assert modes == {'val'}


def test_a_run_stopped_before_its_validation_makes_up_for_it(config, tmp_path):
    run(config, tmp_path)
    latest = str(tmp_path / 'latest.pth')
    options = TrainOptions(str(tmp_path), resume_from=latest, device='cpu', timestamp='log')
    train(config, options, LOGGER)
    assert (tmp_path / 'val' / 'iter_4.json').exists()
    report = json.loads((tmp_path / 'val' / 'iter_4.report.json').read_text())
    assert set(report['errors']['counts']) >= {'Spat', 'Temp', 'Miss'}


def test_a_diverging_run_ends_with_a_line(config, tmp_path):
    config.optimizer.lr = 1e30
    config.optimizer_config.grad_clip = None
    with pytest.raises(InputError, match='iteration [0-9]+: the loss must be finite, but is nan'):
        run(config, tmp_path)


def test_validation_scores_and_keeps_the_best(config, tmp_path):
    options = TrainOptions(str(tmp_path), device='cpu', timestamp='log')
    train(config, options, LOGGER)
    assert len(json.loads((tmp_path / 'val' / 'iter_4.json').read_text())) == 20
    assert list(tmp_path.glob('best_segm_AP_iter_4.pth'))
    lines = (tmp_path / 'log.log.json').read_text().splitlines()
    assert any('segm_AP50' in line for line in lines)


def test_validation_without_annotations_still_writes_the_submission(config, tmp_path, caplog):
    content = json.loads(Path(config.data.val.ann_file).read_text())
    config.data.val.ann_file = str(tmp_path / 'val.json')
    Path(config.data.val.ann_file).write_text(json.dumps({**content, 'annotations': None}))
    logging.getLogger('test_train').propagate = True
    train(config, TrainOptions(str(tmp_path), device='cpu', timestamp='log'), LOGGER)
    assert 'has no annotations' in caplog.text
    assert (tmp_path / 'val' / 'iter_4.json').exists()
    assert not list(tmp_path.glob('best*'))


@pytest.mark.parametrize('annotations', ['none', 'one frame'])
def test_hardly_any_data_trains(config, tmp_path, annotations):
    if annotations == 'none':
        keep_annotations(config, tmp_path, slice(0))
    else:
        keep_one_frame(config, tmp_path)
    losses = run(config, tmp_path)
    assert all(loss == loss and loss < 1e3 for loss in losses.values())


def test_bf16_trains_close_to_fp32(config, tmp_path):
    full = run(config, tmp_path / 'full')
    config.amp = 'bf16'
    half = run(config, tmp_path / 'half')
    assert half != full
    assert half[1] == pytest.approx(full[1], rel=0.05)


def test_load_from_reports_what_was_taken(config, tmp_path, caplog):
    run(config, tmp_path)
    state = weights(tmp_path / 'latest.pth')
    state.pop('backbone.msg_tokens')
    state['roi_head.bbox_head.0.fc_cls.bias'] = torch.zeros(80)
    state['head.weight'] = torch.zeros(3)
    torch.save({'state_dict': state}, tmp_path / 'queryinst.pth')
    config.load_from = str(tmp_path / 'queryinst.pth')
    caplog.set_level(logging.INFO, logger='test_train')
    logging.getLogger('test_train').propagate = True
    model = build_model(config, ('cat', 'dog'), TrainOptions(''), LOGGER)
    assert '1 stay new (not in the checkpoint): backbone.msg_tokens' in caplog.text
    assert '(another shape): roi_head.bbox_head.0.fc_cls.bias [80] for [2]' in caplog.text
    assert '1 of the checkpoint not used: head.weight' in caplog.text
    key = 'roi_head.bbox_head.0.fc_reg.weight'
    assert torch.equal(model.state_dict()[key], state[key])


PRETRAINED = dict(type='Pretrained', checkpoint='x.pth')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'load_from': 'other.pth'}, 'other.pth: load_from must have weights in common'),
        ({'load_from': 'absent.pth'}, 'absent.pth: checkpoint must be a file'),
        ({'amp': 'fp16'}, 'amp: fp16 needs a GPU'),
        ({'amp': 'fp8'}, "amp: must be None, fp16 or bf16, but got 'fp8'"),
        ({'model.backbone.init_cfg': PRETRAINED}, 'init_cfg: x.pth must be a file'),
        ({'model.roi_head.bbox_head.1.num_classes': 3}, 'the 2 categories of data.train, but is 3'),
        ({'optimizer.type': 'Adamw'}, 'optimizer cannot be built: .*Adamw'),
        ({'data.samples_per_gpu': 0}, 'data.samples_per_gpu: must be a whole number >= 1'),
        ({'weight_average': {'decay': 1}}, 'decay: must be between 0 and 1, but got 1'),
    ],
)
def test_what_cannot_be_trained_is_refused_at_once(config, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    torch.save({'state_dict': {'x': torch.zeros(2, 2)}}, 'other.pth')
    for key, value in options.items():
        override(config._cfg_dict, key.split('.'), value)
    with pytest.raises(InputError, match=message):
        run(config, tmp_path / 'work')
    assert not list((tmp_path / 'work').glob('*.pth'))


def test_a_checkpoint_of_weights_cannot_be_resumed(config, tmp_path):
    run(config, tmp_path)
    torch.save({'state_dict': weights(tmp_path / 'latest.pth')}, tmp_path / 'bare.pth')
    with pytest.raises(InputError, match='bare.pth: must hold an optimizer to resume from'):
        run(config, tmp_path, resume_from=str(tmp_path / 'bare.pth'))


def test_a_full_disk_leaves_the_last_good_checkpoint(config, tmp_path, monkeypatch):
    save, calls = torch.save, []

    def full(content, file):
        calls.append(file)
        if len(calls) == 1:
            return save(content, file)
        file.write(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', full)
    with pytest.raises(InputError, match='iter_4.pth: cannot be written: No space left'):
        run(config, tmp_path)
    assert not list(tmp_path.glob('iter_4*'))
    assert (tmp_path / 'latest.pth').resolve().name == 'iter_2.pth'
    assert weights(tmp_path / 'latest.pth')


def test_the_schedule_follows_the_batch_size():
    config = load_config('tevit/tevit_msgshift')
    assert scale_schedule(config, 4) == 0.25
    assert config.optimizer.lr == pytest.approx(2.5e-4 / 4)
    assert config.runner.max_iters == 9200 * 4
    assert config.lr_config.step == [6100 * 4, 8500 * 4]
    assert config.lr_config.warmup_iters == config.checkpoint_config.interval == 770 * 4
    accumulating = load_config('tevit/tevit_msgshift', {'optimizer_config.cumulative_iters': 8})
    assert scale_schedule(accumulating, 2) == 1  # 8 iterations of 2 clips a step
    assert accumulating.runner.max_iters * 2 == 9200 * 16
    assert accumulating.lr_config.step == [6100 * 8, 8500 * 8]
    assert accumulating.checkpoint_config.interval == 770 * 8
    config.auto_scale_lr = {}
    with pytest.raises(InputError, match='base_batch_size: must be a whole number'):
        scale_schedule(config, 4)


def test_epochs_become_iterations_where_none_are_set():
    config = load_config('seqformer/seqformer_r50_ytvis19')
    assert scale_schedule(config, 4) == 0.25  # leaves what epochs will fill
    epochs_to_iters(config, batches=100)
    assert config.runner.max_iters == 1200
    assert config.lr_config.step == [200, 1000]
    assert config.checkpoint_config.interval == config.evaluation.interval == 100
    mixed = load_config(
        'seqformer/seqformer_r50_joint', {'runner.max_iters': 50, 'lr_config.step': [40]}
    )
    epochs_to_iters(mixed, batches=100)
    assert (mixed.runner.max_iters, mixed.lr_config.step) == (50, [40])
    tevit = load_config('tevit/tevit_msgshift')
    epochs_to_iters(tevit, batches=100)
    assert tevit.runner.max_iters == 9200
    for epochs, message in (
        (dict(total=0, lr_drops=[1]), r'epochs.total: must be a whole number >= 1, but got 0'),
        (dict(total=1.5, lr_drops=[1]), r'epochs.total: must be a whole number'),
        (dict(total=3, lr_drops=[1, 'a']), r'epochs.lr_drops: must be a whole number'),
        (dict(total=3), r'epochs.lr_drops: must be set where step is None'),
        (None, r'epochs.total: must be set where max_iters is None'),
        (12, r'epochs: must have total and lr_drops, but got 12'),
    ):
        config = load_config('seqformer/seqformer_r50_joint')
        config.epochs = epochs
        with pytest.raises(InputError, match=message):
            epochs_to_iters(config, batches=100)


def test_seqformer_trains_jointly_for_epochs(seqformer_config, train_files, tmp_path):
    annotations, images = map(str, train_files)
    config = seqformer_config
    files = dict(ann_file=annotations, img_prefix=images)
    part = dict(config.data.train, **files, clip_length=2)
    config.data.train = dict(type='JointDataset', datasets=[part, part])
    config.data.val.update(files, pipeline=config.data.test.pipeline)
    config.data.update(samples_per_gpu=2, workers_per_gpu=0)
    config.model.bbox_head.num_classes = 2
    config.epochs = dict(total=2, lr_drops=[1])
    config.runner.max_iters = config.checkpoint_config.interval = None
    config.lr_config = dict(policy='step', step=None)
    config.log_config.interval = 1
    losses = run(config, tmp_path)
    # 6 key frames in both, 2 a batch; the wide and the upright ones do not mix
    assert len(losses) == 2 * 6
    assert np.isfinite(list(losses.values())).all()
    assert (tmp_path / 'iter_6.pth').exists()
    assert (tmp_path / 'iter_12.pth').exists()


TWO_PROCESSES = """
import sys, torch, logging
from pathlib import Path
from mmcv import Config
import tevit_vis
from tevit_vis.apis.distributed import Processes
from tevit_vis.apis.runner import TrainingModel
from tevit_vis.apis.training import build_adversary
from tevit_vis.apis.options import TrainOptions
from tevit_vis.apis.build import build_model
from tevit_vis.datasets import build_dataset, build_train_loader
processes = Processes.join()
config = Config.fromfile(sys.argv[1])
dataset = build_dataset(config.data.train)
options = TrainOptions('')
model = build_model(config, dataset.CLASSES, options, logging.getLogger())
adversary = build_adversary(config, model, options)
loader = build_train_loader(dataset, 2 // processes.count, 0, 7, processes.rank, processes.count)
trained = TrainingModel(model, torch.device('cpu'), None, processes.count > 1, adversary)
batches = iter(loader)
losses = []
for _ in range(3):
    trained.zero_grad()
    outputs = trained.train_step(next(batches))
    outputs['loss'].backward()
    losses.append(outputs['log_vars'])
gradients = {name: p.grad for name, p in trained.named_parameters()}
if processes.is_first:
    torch.save(dict(losses=losses, gradients=gradients), sys.argv[2])
"""


@pytest.mark.parametrize(
    ('system', 'annotations'),
    [
        pytest.param('tevit', 'all', marks=pytest.mark.slow),
        pytest.param('tevit', 'first video only', marks=pytest.mark.slow),
        pytest.param('ms_sts', 'all', marks=pytest.mark.slow),
    ],
)
def test_two_processes_of_one_clip_equal_one_of_two(
    config, adversarial, tmp_path, system, annotations
):
    """Losses and gradients, by gloo; batch norm, whose statistics are per process, is left out."""
    without_batch_norm(config)
    config = config if system == 'tevit' else adversarial
    # (SeqFormer counts a single instance of two processes once for each, as the official code.)
    if annotations != 'all':  # then one process may have no positive query
        keep_annotations(config, tmp_path, slice(2, None))
        config.data.train.annotated_only = False
    config.dump(str(tmp_path / 'config.py'))
    (tmp_path / 'step.py').write_text(TWO_PROCESSES)
    torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    for count in ('1', '2'):
        command = [*torchrun, count, str(tmp_path / 'step.py'), str(tmp_path / 'config.py')]
        subprocess.run([*command, str(tmp_path / count)], check=True, env=environment)
    one, two = (torch.load(tmp_path / count) for count in ('1', '2'))
    for alone, shared in zip(one['losses'], two['losses']):
        for name in alone:
            if 'pos_acc' not in name:  # a mean of means
                assert shared[name] == pytest.approx(alone[name], rel=1e-4, abs=1e-6), name
    for name, gradient in one['gradients'].items():
        difference = (two['gradients'][name] - gradient).norm()
        assert difference <= 1e-3 * gradient.norm() + 1e-6, name


def dist_train(config, tmp_path, *options):
    """The command and environment of a run of two processes."""
    config.data.samples_per_gpu = 1
    config.dump(str(tmp_path / 'config.py'))
    tools = Path(__file__).parents[2] / 'tools'
    command = ['bash', str(tools / 'dist_train.sh'), str(tmp_path / 'config.py'), '2', *options]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable}
    environment.setdefault('VIRTUAL_ENV', '')
    arguments = ['--device', 'cpu', '--work-dir', str(tmp_path / 'work')]
    return dict(args=[*command, *arguments], env=environment, text=True)


def processes_with(text):
    """Numbers of the processes whose command line has a text."""
    found = []
    for path in Path('/proc').glob('[0-9]*/cmdline'):
        with suppress(OSError):
            if text.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


@pytest.mark.skipif(sys.platform != 'linux', reason='looks for processes in /proc')
@pytest.mark.slow
@pytest.mark.parametrize('to_all', [False, True], ids=['SIGTERM to the shell', 'Ctrl-C'])
def test_processes_end_together(config, tmp_path, to_all):
    config.runner.max_iters = 10**6
    process = subprocess.Popen(
        **dist_train(config, tmp_path, '--no-validate'),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 120
        while not list((tmp_path / 'work').glob('*.log.json')) and time.monotonic() < end:
            time.sleep(0.2)
        if to_all:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode != 0
        assert not processes_with(str(tmp_path / 'work')), errors
    finally:
        for number in processes_with(str(tmp_path / 'work')):
            os.kill(number, signal.SIGKILL)


@pytest.mark.slow
def test_dist_train_trains(config, tmp_path):
    config.evaluation.interval = 2
    config.runner.max_iters = 2
    command = dist_train(config, tmp_path, '--deterministic')
    done = subprocess.run(**command, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    # What was tested is what was saved, batch norm's statistics included.
    tested = json.loads((tmp_path / 'work' / 'val' / 'iter_2.json').read_text())
    assert len(tested) == 20
    config.data.val.test_mode = True
    model = init_model(config, str(tmp_path / 'work' / 'latest.pth'), 'cpu')
    again = tmp_path / 'again.json'
    write_submission(model, build_dataset(config.data.val), ResultsJournal(str(again), {}))
    for first, second in zip(tested, json.loads(again.read_text())):
        assert first['score'] == pytest.approx(second['score'], abs=1e-4)
        areas = [mask_areas(entry['segmentations']) for entry in (first, second)]
        assert np.abs(areas[0] - areas[1]).max() <= 5


class Files:
    """For tests: an object that weights_only refuses."""


def test_a_run_is_resumed_from_a_file_with_objects_only_when_trusted(config, tmp_path):
    config.checkpoint_config.interval = 1
    config.runner.max_iters = 1
    run(config, tmp_path / 'a')
    path = tmp_path / 'a' / 'latest.pth'
    content = torch.load(path, weights_only=False)
    content['meta']['objects'] = Files()
    torch.save(content, tmp_path / 'foreign.pth')
    config.runner.max_iters = 2
    foreign = str(tmp_path / 'foreign.pth')
    with pytest.raises(InputError, match='foreign.pth: checkpoint holds Python objects'):
        run(config, tmp_path / 'b', resume_from=foreign)
    run(config, tmp_path / 'b', resume_from=foreign, trust_checkpoint=True)
    assert (tmp_path / 'b' / 'iter_2.pth').exists()


def test_the_resumed_file_is_not_held_while_the_run_lasts(config, tmp_path):
    config.weight_average = dict(decay=0.9)
    config.checkpoint_config.interval = 1
    config.runner.max_iters = 1
    run(config, tmp_path)
    held = []

    @HOOKS.register_module(force=True)
    class HeldHook(Hook):
        def after_train_iter(self, runner):
            held.append((set(vars(runner.resumed)), runner.resumed.averaged))

    config.runner.max_iters = 2
    config.custom_hooks = [dict(type='HeldHook')]
    run(config, tmp_path, resume_from=str(tmp_path / 'latest.pth'))
    assert held == [({'meta', 'averaged'}, None)]


def test_validation_asks_one_disk_whether_it_is_due(config, tmp_path, monkeypatch):
    """The other processes of a run on several machines do not see its folder."""
    hook = ValidationHook.__new__(ValidationHook)
    hook.interval, hook.has_annotations, tested = 1, True, []
    hook._test = lambda runner, finished: tested.append(finished)
    runner = SimpleNamespace(iter=3, max_iters=9, resumed=True, work_dir=str(tmp_path))
    for first_says, expected in ((True, [3]), (False, [])):
        tested.clear()
        hook.processes = SimpleNamespace(run_on_first=lambda function, say=first_says: say)
        hook.before_run(runner)
        assert tested == expected


def test_batches_are_pinned_for_a_gpu_only(config, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    loaders = []
    build = training.build_train_loader

    def recorded(*args, **kwargs):
        loaders.append(build(*args, **kwargs))
        return loaders[-1]

    monkeypatch.setattr(training, 'build_train_loader', recorded)
    run(config, tmp_path)
    assert [loader.pin_memory for loader in loaders] == [False]


class WaitingNorm(torch.nn.SyncBatchNorm):
    """For tests: a norm in which processes wait for each other; counts who came."""

    calls = 0

    def forward(self, x):
        type(self).calls += 1
        return x


@pytest.mark.parametrize('counts', [[[0, 0]], [[2, 1]]])
def test_a_process_without_positives_joins_the_others_in_their_norm(config, counts):
    config.model.backbone.pop('init_cfg', None)
    model = build_detector(config.model)
    model.init_weights()
    for head in model.roi_head.mask_head:
        for conv in head.convs:
            conv.norm_name = 'bn'
            conv._modules['bn'] = WaitingNorm(conv.out_channels)
    norms = sum(isinstance(part, WaitingNorm) for part in model.roi_head.mask_head.modules())
    assert norms > 0
    WaitingNorm.calls = 0
    losses = model.train()(return_loss=True, **batch(counts))
    assert WaitingNorm.calls == norms
    total_loss(losses)[0].backward()


@pytest.mark.parametrize(
    ('hooks', 'words'),
    [
        ('TextLoggerHook', r'must be a list of dict\(type=...\)'),
        ([dict(type='WandbLoggerHook')], 'WandbLoggerHook needs wandb, .*: pip install wandb'),
    ],
)
def test_hooks_of_logs_are_checked_first(config, tmp_path, monkeypatch, hooks, words):
    monkeypatch.setattr(training, 'find_spec', lambda name: None)
    config.log_config.hooks = hooks
    with pytest.raises(InputError, match=f'log_config.hooks: {words}'):
        run(config, tmp_path)


def test_logs_of_a_run_from_ones_own_code_have_a_time(config, tmp_path):
    train(config, TrainOptions(str(tmp_path), device='cpu', validate=False), get_root_logger())
    (log,) = tmp_path.glob('*.log.json')
    assert re.fullmatch(r'\d{8}_\d{6}.log.json', log.name)


def test_mmdets_wrappers_train(config, tmp_path):
    part = config.data.train
    config.data.train = dict(
        type='ClassBalancedDataset',
        oversample_thr=0.5,
        dataset=dict(type='RepeatDataset', times=2, dataset=part),
    )
    assert len(run(config, tmp_path)) > 0
