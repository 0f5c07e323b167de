"""All systems on tensors that pretend to be on a GPU: nothing is mixed, the host waits rarely."""

from types import SimpleNamespace

import pytest
import torch
from builders import batch, noise_frames
from mmdet.models import build_detector
from pretend import GPU, mark, mark_module, pretended_gpu
from torch.optim.swa_utils import AveragedModel

from tevit_vis.apis import inference_video
from tevit_vis.apis.averaging_hook import WeightAverageHook
from tevit_vis.apis.hooks import ClipOptimizerHook
from tevit_vis.apis.options import TrainOptions
from tevit_vis.apis.runner import TrainingModel
from tevit_vis.apis.training import build_adversary

SYSTEMS = ['tevit', 'seqformer', 'ifc', 'ms_sts', 'mask2former']
CONFIGS = dict(
    tevit='tiny_config',
    seqformer='seqformer_config',
    ifc='ifc_config',
    ms_sts='ms_sts_config',
    mask2former='mask2former_config',
)
MODELS = dict(
    tevit='tiny_model',
    seqformer='seqformer',
    ifc='ifc',
    ms_sts='ms_sts',
    mask2former='mask2former',
)
# By the head. Matching and the numbers of the losses; for TeViT also RoIs by level: 2 stages x
# (boxes, masks). mmdet's losses of Mask2Former match and pick points layer by layer.
WAITS_OF_A_STEP = dict(bbox_head=2, roi_head=6, panoptic_head=130)
# Which queries are output, their fields, runs of a group of frames; RoIs of 2 stages and masks.
WAITS_OF_A_CLIP = dict(bbox_head=6, roi_head=8, panoptic_head=8)
WAITS_OF_A_WINDOW = dict(bbox_head=6, roi_head=8, panoptic_head=10)  # the linker compares


@pytest.fixture(params=SYSTEMS)
def config(request):
    return request.getfixturevalue(CONFIGS[request.param])


@pytest.fixture(params=SYSTEMS)
def model(request):
    return request.getfixturevalue(MODELS[request.param])


@pytest.fixture
def trained(config):
    """A model in training, on the CPU still."""
    torch.manual_seed(3)
    config.model.backbone.pop('init_cfg', None)
    detector = build_detector(config.model)
    detector.init_weights()
    adversary = build_adversary(config, detector, TrainOptions(''))
    model = TrainingModel(detector, torch.device('cpu'), None, False, adversary)
    return model.train()


@pytest.mark.parametrize(
    'counts',
    [[[2, 2, 2], [1, 1, 1]], [[0, 0, 0], [0, 0, 0]], [[3, 0, 1]], [[0, 0, 0], [1, 0, 0]]],
    ids=['some', 'none', 'now and then', 'in one clip'],
)
def test_training_stays_on_the_device(trained, counts):
    clips = batch(counts)
    with pretended_gpu() as gpu:
        mark_module(trained)
        trained.device = GPU
        outputs = trained.train_step(clips)
        outputs['loss'].backward()
    assert gpu.faults == []
    bound = WAITS_OF_A_STEP[trained.module.head_name]
    assert gpu.num_waits <= bound, gpu.waits.most_common()
    assert gpu.num_waits > 0  # the numbers for the log at least
    with_gradient = [p.grad is not None for p in trained.parameters() if p.requires_grad]
    assert all(with_gradient) or not sum(map(sum, counts))


def test_averaged_weights_stay_on_the_device(trained):
    hook = WeightAverageHook(0.9)
    hook.averaged = AveragedModel(trained.module, multi_avg_fn=hook._average, use_buffers=True)
    with pretended_gpu() as gpu:
        mark_module(trained)
        mark_module(hook.averaged)
        for _ in range(2):
            hook.averaged.update_parameters(trained.module)
            hook.num_averaged += 1
    assert gpu.faults == []


def test_a_clip_stays_on_the_device(model):
    model.test_cfg.windows.length = None
    frames = noise_frames(5, 48, 80)
    with pretended_gpu() as gpu:
        mark_module(model)
        found = inference_video(model, frames)
    assert found.num_frames == 5
    assert gpu.faults == []
    assert 0 < gpu.num_waits <= WAITS_OF_A_CLIP[model.head_name], gpu.waits.most_common()


def test_windows_stay_on_the_device(model):
    model.test_cfg.windows.update(length=3, stride=2)
    model.test_cfg.tracker.update(min_score=0.01)
    frames = noise_frames(7, 48, 80)
    with pretended_gpu() as gpu:
        mark_module(model)
        found = inference_video(model, frames)
    assert found.num_frames == 7
    assert gpu.faults == []
    assert 0 < gpu.num_waits <= 3 * WAITS_OF_A_WINDOW[model.head_name], gpu.waits.most_common()


def test_the_gpus_way_finds_what_the_cpus_does(model):
    """Pasting whole frames and runs on the device, against pixels in boxes and pycocotools."""
    frames = noise_frames(4, 48, 80)
    model.test_cfg.windows.length = None
    expected = inference_video(model, frames)
    with pretended_gpu():
        mark_module(model)
        found = inference_video(model, frames)
    assert found.labels.tolist() == expected.labels.tolist()
    assert found.segmentations == expected.segmentations


def test_planted_faults_are_found():
    with pretended_gpu() as gpu:
        on_gpu = mark(torch.ones(3))
        on_gpu + torch.ones(3)
        assert 'mixes devices' in gpu.faults[-1]
        on_gpu.numpy()
        assert 'numpy' in gpu.faults[-1]
        torch.zeros(2, device='cuda')
        assert 'without an index' in gpu.faults[-1]
        assert len(gpu.faults) == 3
        before = gpu.num_waits
        assert on_gpu.sum() > 0
        assert on_gpu.tolist() == [1, 1, 1]
        assert on_gpu[on_gpu > 2].numel() == 0
        assert gpu.num_waits == before + 3
        moved = on_gpu.cpu()
        assert moved.device.type == 'cpu'
        assert moved.to(on_gpu.device).device == GPU
        assert (on_gpu * 2 + moved.sum()).is_cuda  # numbers may come from anywhere
        assert len(gpu.faults) == 3


def test_accumulated_steps_stay_on_the_device(trained):
    """Two iterations make a step: gradients are clipped and every optimizer moves."""
    hook = ClipOptimizerHook(cumulative_iters=2, grad_clip=dict(max_norm=1.0))
    hook.initialized, hook.divisible_iters, hook.remainder_iters = True, 2, 0
    parts = {'model': trained.module, 'adversary': trained.adversary}
    runner = SimpleNamespace(
        model=trained,
        resumed=None,
        iter=0,
        max_iters=2,
        _max_iters=2,
        meta={},
        log_buffer=SimpleNamespace(update=lambda *_: None),
    )
    before = [parameter.detach().clone() for parameter in trained.parameters()]
    with pretended_gpu() as gpu:
        mark_module(trained)
        trained.device = GPU
        runner.optimizers = {
            name: torch.optim.AdamW(part.parameters(), 1e-2)
            for name, part in parts.items()
            if part is not None
        }
        hook.before_run(runner)
        for runner.iter in range(2):
            hook.before_train_iter(runner)
            runner.outputs = trained.train_step(batch([[2, 2]]))
            hook.after_train_iter(runner)
    assert gpu.faults == []
    bound = WAITS_OF_A_STEP[trained.module.head_name]
    assert gpu.num_waits <= 2 * bound + 2, gpu.waits.most_common()
    moved = [(new != old).any() for new, old in zip(trained.parameters(), before)]
    assert sum(moved) > 0.9 * len(moved)
