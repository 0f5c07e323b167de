"""bf16 and fp16: what must stay in full precision does, and what cannot be held is said."""

import logging
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import batch, make_metas, noise_frames
from mmdet.models import build_detector
from torch import nn

from tevit_vis.apis import inference_video
from tevit_vis.apis import runner as runner_module
from tevit_vis.apis.averaging_hook import WeightAverageHook
from tevit_vis.apis.hooks import MAX_SKIPPED_STEPS, ClipOptimizerHook
from tevit_vis.apis.runner import TrainingModel
from tevit_vis.apis.training import training_amp
from tevit_vis.ground_truth import GtTubes
from tevit_vis.models.assigners import TubeHungarianAssigner
from tevit_vis.models.assigners.tube_costs import PredTubes
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.weights import load_weights

CPU = torch.device('cpu')
SYSTEMS = ['tiny_model', 'seqformer', 'ifc', 'ms_sts']


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_large_masks_match_as_in_full_precision(dtype):
    """An area of 80,000 cells is infinite in fp16; in bf16 masks that differ by 1 in 300 tie."""
    masks = torch.full((2, 1, 400, 400), -9.0)
    masks[0, 0, :200], masks[1, 0, :199] = 9.0, 9.0
    true = torch.zeros(1, 1, 400, 400)
    true[0, 0, :199] = 1
    gt = GtTubes.of_labels(torch.tensor([0]), num_frames=1).with_masks(true)
    costs = load_config('ifc/ifc_r50_ytvis19').model.train_cfg.assigner.costs
    assigner = TubeHungarianAssigner(costs=costs)
    scores = torch.zeros(1, 2, 3)
    expected = [side.tolist() for side in assigner.assign(PredTubes(scores, masks=masks), gt)]
    assert expected == [[1], [0]]
    with torch.autocast('cpu', dtype):
        matrix = assigner.cost_matrix(PredTubes(scores.to(dtype), masks=masks.to(dtype)), gt)
    assert matrix.dtype == torch.float32
    assert torch.isfinite(matrix).all()
    assert matrix.argmin() == 1


def test_boxes_match_in_full_precision():
    boxes = torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(0))
    gt = GtTubes.of_labels(torch.tensor([1]), num_frames=2)
    costs = load_config('seqformer/seqformer_r50_joint').model.train_cfg.assigner.costs
    pred = PredTubes(torch.zeros(1, 5, 3), boxes.bfloat16())
    assert TubeHungarianAssigner(costs=costs).cost_matrix(pred, gt).dtype == torch.float32


@pytest.mark.parametrize('system', SYSTEMS)
@pytest.mark.parametrize('length', [None, 3])
def test_bf16_inference_is_close_and_gives_fp32(system, length, request):
    model = request.getfixturevalue(system)
    model.test_cfg.windows.update(length=length, stride=2)
    model.test_cfg.tracker.update(min_score=0.0)
    frames = noise_frames(5, 48, 80)
    found = {}
    for dtype in (None, torch.bfloat16):
        model.amp_dtype = dtype
        found[dtype] = inference_video(model, frames)
        assert found[dtype].scores.dtype == np.float32
        assert found[dtype].boxes.dtype == np.float32
    full, half = found.values()
    assert len(half) > 0
    best = min(len(full), len(half), 5)
    theirs, ours = (np.sort(side.scores)[::-1][:best] for side in (full, half))
    np.testing.assert_allclose(ours, theirs, rtol=0.1, atol=0.02)
    assert (ours != theirs).any()  # it did run in bf16


@pytest.mark.parametrize('system', SYSTEMS)
def test_predictions_are_fp32_from_the_heads_on(system, request):
    model = request.getfixturevalue(system)
    with torch.inference_mode(), torch.autocast('cpu', torch.bfloat16):
        features = model.extract_feat(torch.randn(1, 3, 3, 64, 96))
        found = model.predict_clip(features, make_metas(3))
    for value in (found.scores, found.class_scores, found.boxes, found.masks.logits):
        assert value.dtype == torch.float32


class Swin(nn.Module):
    """A weight, a running mean and a table of indices, as Swin has."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer('mean', torch.zeros(3))
        self.register_buffer('index', torch.arange(50_000).view(-1, 5))


def make_runner(module, **fields):
    logger = logging.getLogger('test_precision')
    model = SimpleNamespace(module=module, dtype=None, device=CPU)
    return SimpleNamespace(model=model, resumed=None, logger=logger, **fields)


def test_averages_leave_whole_numbers_alone(caplog):
    caplog.set_level('INFO', logger='test_precision')
    module = Swin()
    hook, runner = WeightAverageHook(0.9999), make_runner(module)
    hook.before_run(runner)
    assert 'averaged weights (decay 0.9999) are tested and saved' in caplog.text
    for step in range(3):
        nn.init.constant_(module.weight, step + 1.0)
        hook.after_train_iter(runner)
    average = runner.averaged.module
    assert torch.equal(average.index, module.index)
    # 1, then 2 / 11 of it is kept, then 3 / 12.
    second = 2 / 11 * 1 + 9 / 11 * 2
    torch.testing.assert_close(average.weight.data, torch.full((3,), 0.25 * second + 0.75 * 3))


def test_a_table_of_indices_outlives_a_long_run():
    """At a decay of .9999 a fifth of Swin's indices were one less after an average of their own."""
    index = torch.arange(100_000)
    average, hook = index.clone(), WeightAverageHook(0.9999)
    hook.num_averaged = 1_000_000
    hook._average([average], [index], None)
    assert torch.equal(average, index)


def test_the_average_reaches_its_decay():
    hook = WeightAverageHook(0.9)
    hook.num_averaged = 10_000
    old, new = torch.ones(2), torch.zeros(2)
    hook._average([old], [new], None)
    assert old.tolist() == pytest.approx([0.9, 0.9])


class Overflowing(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))


def overflow(hook, steps):
    """Steps of fp16 training whose gradients are infinite."""
    module = Overflowing()
    runner = make_runner(
        module,
        optimizers={'model': torch.optim.SGD(module.parameters(), 0.1)},
        iter=0,
        max_iters=1000,
        _max_iters=1000,
        meta={},
    )
    runner.model.dtype = torch.float16
    hook.before_run(runner)
    hook.initialized, hook.divisible_iters, hook.remainder_iters = True, 1000, 0
    for runner.iter in range(steps):
        loss = (module.weight * float('inf')).sum()
        runner.outputs = dict(loss=loss, log_vars={'loss': float('inf')}, num_samples=1)
        hook.after_train_iter(runner)
    return runner


@pytest.mark.parametrize('loss_scale', ['dynamic', 512.0, dict(init_scale=2.0**10)])
def test_fp16_that_stays_infinite_ends_the_run(loss_scale):
    hook = ClipOptimizerHook(loss_scale)
    runner = overflow(hook, MAX_SKIPPED_STEPS - 1)
    assert runner.model.module.weight.tolist() == [1, 1]  # steps are skipped
    assert hook.scaler.get_scale() == (512 if loss_scale == 512.0 else pytest.approx(0, abs=1))
    with pytest.raises(InputError, match='iteration 30: gradients must be finite .* amp=bf16'):
        overflow(ClipOptimizerHook(loss_scale), MAX_SKIPPED_STEPS)


@pytest.mark.parametrize('loss_scale', ['static', True, None])
def test_another_loss_scale_is_refused(loss_scale):
    with pytest.raises(InputError, match="fp16.loss_scale: must be 'dynamic'"):
        ClipOptimizerHook(loss_scale)


def test_mmdets_fp16_section_is_understood():
    assert training_amp(dict(fp16=dict(loss_scale=512.0))) == 'fp16'
    assert training_amp(dict(amp='fp16', fp16=dict(loss_scale=512.0))) == 'fp16'
    assert training_amp(dict(amp='bf16')) == 'bf16'
    with pytest.raises(InputError, match="must be fp16 or None beside an fp16 section, but is 'bf"):
        training_amp(dict(amp='bf16', fp16=dict(loss_scale=512.0)))


def test_weights_that_are_not_finite_are_named_when_loaded():
    weights = Swin().state_dict()
    weights['weight'] = torch.tensor([1.0, float('nan'), 1.0])
    with pytest.raises(InputError, match=r'x.pth: weights must be finite, but 1 of 3 .*weight\)'):
        load_weights(Swin(), dict(state_dict=weights), 'x.pth')


@pytest.mark.parametrize('system', SYSTEMS)
@pytest.mark.parametrize('length', [None, 2])
def test_outputs_that_are_not_finite_end_in_a_line(system, length, request):
    model = request.getfixturevalue(system)
    model.test_cfg.windows.update(length=length, stride=1)
    with torch.inference_mode():
        model.neck.requires_grad_(False)
        for parameter in model.neck.parameters():
            parameter.fill_(float('nan'))
    with pytest.raises(InputError, match="(scores|masks) must be finite, but the model's are not"):
        inference_video(model, noise_frames(3, 48, 80))


@pytest.mark.parametrize('length', [None, 2])
@pytest.mark.parametrize(
    ('system', 'part'),
    [
        ('tiny_model', 'roi_head.mask_head.1.conv_logits'),
        ('seqformer', 'bbox_head.controller.4'),
        ('ifc', 'bbox_head.mask_weights.4'),
    ],
)
def test_masks_that_are_not_finite_end_in_a_line(system, part, length, request):
    model = request.getfixturevalue(system)
    model.test_cfg.windows.update(length=length, stride=1)
    with torch.inference_mode():
        model.get_submodule(part).bias.fill_(float('nan'))
    with pytest.raises(InputError, match="masks must be finite, but the model's are not"):
        inference_video(model, noise_frames(3, 48, 80))


def test_boxes_that_are_not_finite_end_in_a_line(tiny_model):
    with torch.inference_mode():
        tiny_model.roi_head.bbox_head[-1].fc_reg.bias.fill_(float('nan'))
    with pytest.raises(InputError, match="(masks|boxes) must be finite, but the model's are not"):
        inference_video(tiny_model, noise_frames(3, 48, 80))


def test_gradients_are_exchanged_at_steps_only(monkeypatch, seqformer_config):
    alone = []

    class Parallel(nn.Module):
        def __init__(self, module, device_ids, find_unused_parameters):
            super().__init__()
            self.module = module
            self.exchanges = True

        def no_sync(self):
            @contextmanager
            def context():
                self.exchanges = False
                yield
                self.exchanges = True

            return context()

        def forward(self, **data):
            alone.append(not self.exchanges)
            return self.module(**data)

    monkeypatch.setattr(runner_module, 'DistributedDataParallel', Parallel)
    model = TrainingModel(build_detector(seqformer_config.model), CPU, None, distributed=True)
    hook = ClipOptimizerHook(cumulative_iters=3)
    runner = SimpleNamespace(model=model, iter=0, max_iters=5, _max_iters=5)
    for runner.iter in range(5):
        hook.before_train_iter(runner)
        model.train_step(batch([[1, 1]]))
    assert alone == [True, True, False, True, False]  # the last iteration makes a step, too
