"""Devices by name, their precision and memory, and their faults in words."""

import subprocess
import sys

import pytest
import torch

from tevit_vis.apis import training
from tevit_vis.jobs import quickstart
from tevit_vis.layers import cuda_ops
from tevit_vis.utils import devices
from tevit_vis.utils.devices import check_amp, check_device, device_fault, how_many_fit
from tevit_vis.utils.errors import InputError

CUDA = torch.device('cuda', 0)


@pytest.fixture
def two_gpus(monkeypatch):
    """torch believes in two GPUs; the one that is made current is noted."""
    current = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(torch.cuda, 'set_device', current.append)
    return current


@pytest.mark.parametrize(('name', 'index'), [(None, 0), ('cuda', 0), ('cuda:0', 0), ('cuda:1', 1)])
def test_a_gpu_always_has_its_number(two_gpus, name, index):
    assert check_device(name) == torch.device('cuda', index)


def test_training_makes_a_numbered_gpu_the_current_one(two_gpus, monkeypatch):
    monkeypatch.setattr(training, 'get_compiling_cuda_version', lambda: '13.0')
    for name in (None, 'cuda', 'cuda:1'):
        training._check_train_device(name)
    assert [device.index for device in two_gpus] == [0, 0, 1]


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('cuda:2', '2 CUDA devices are here'),
        ('gpu', 'must be cpu, cuda or cuda:N'),
        ('cuda:', 'must be cpu'),
    ],
)
def test_devices_that_are_not_here_are_named(two_gpus, name, words):
    with pytest.raises(InputError, match=words):
        check_device(name)


def test_without_a_gpu_the_cpu_is_best(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert check_device(None) == torch.device('cpu')
    with pytest.raises(InputError, match='cuda was asked for, but 0 CUDA devices'):
        check_device('cuda')


@pytest.mark.parametrize(
    ('amp', 'device', 'words'),
    [
        ('half', torch.device('cpu'), 'must be None, fp16 or bf16'),
        ('fp16', torch.device('cpu'), 'fp16 needs a GPU'),
        ('bf16', CUDA, 'cuda:0 has no bf16: take fp16'),
    ],
)
def test_precisions_that_a_device_lacks_are_refused(monkeypatch, amp, device, words):
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: False)
    with pytest.raises(InputError, match=words):
        check_amp(amp, device)


def test_defaults_follow_the_free_memory(monkeypatch):
    free = {'cpu': 100, 'cuda': 1000}
    monkeypatch.setattr(devices, 'free_memory', lambda device: free[device.type])
    assert how_many_fit(CUDA, each=10, least=1, most=64, part=0.5) == 50
    assert how_many_fit(CUDA, each=10, least=1, most=32, part=0.5) == 32
    assert how_many_fit(torch.device('cpu'), each=1000, least=2, most=9, part=0.5) == 2


def test_frames_and_rois_per_pass_follow_the_device(tiny_model, seqformer, monkeypatch):
    size = (384, 640)
    for model in (tiny_model, seqformer):
        model.test_cfg.frames_per_pass = None
        assert model.frames_per_pass(size) == 2
        model.test_cfg.frames_per_pass = 5
        assert model.frames_per_pass(size) == 5
        model.test_cfg.frames_per_pass = None
        monkeypatch.setattr(devices, 'free_memory', lambda _: 80 << 30)
        assert model._choose_default('frames_per_pass', 384 * 640, CUDA) == 32
        monkeypatch.setattr(devices, 'free_memory', lambda _: 8 << 30)
        assert 2 <= model._choose_default('frames_per_pass', 384 * 640, CUDA) < 8
        monkeypatch.setattr(devices, 'free_memory', lambda _: 1 << 20)
        assert model._choose_default('frames_per_pass', 384 * 640, CUDA) == 1
    tiny_model.test_cfg.rois_per_pass = None
    assert tiny_model.rois_per_pass == 512
    monkeypatch.setattr(devices, 'free_memory', lambda _: 80 << 30)
    assert tiny_model._choose_default('rois_per_pass', 0, CUDA) == 8192


@pytest.mark.parametrize(
    ('error', 'words'),
    [
        (torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB'), 'frames_per_pass'),
        (RuntimeError('CUDA error: no kernel image is available for execution'), 'no kernel image'),
    ],
)
def test_faults_of_a_device_have_a_remedy(error, words):
    assert words in device_fault(error)
    assert device_fault(RuntimeError('shape mismatch')) is None
    assert device_fault(ValueError('out of memory')) is None


@pytest.mark.parametrize(
    ('raised', 'options', 'line', 'traceback'),
    [
        ('torch.OutOfMemoryError("CUDA out of memory")', [], 'error: the GPU is out of', False),
        pytest.param(
            'torch.OutOfMemoryError("CUDA out of memory")',
            ['--debug'],
            'OutOfMemoryError',
            True,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            'InputError("x: must be y")', [], 'error: x: must be y', False, marks=pytest.mark.slow
        ),
        pytest.param(
            'InputError("x: must be y")',
            ['--debug'],
            'InputError: x: must be y',
            True,
            marks=pytest.mark.slow,
        ),
        ('RuntimeError("a bug")', [], 'RuntimeError: a bug', True),
        pytest.param('KeyError("a bug")', [], "KeyError: 'a bug'", True, marks=pytest.mark.slow),
    ],
)
def test_tools_end_on_a_line_or_with_the_traceback(raised, options, line, traceback):
    code = (
        'import torch\nfrom tevit_vis.utils.cli import run_tool, tool_parser\n'
        'from tevit_vis.utils.errors import InputError\n'
        f'def main():\n    tool_parser("").parse_args()\n    raise {raised}\nrun_tool(main)'
    )
    done = subprocess.run([sys.executable, '-c', code, *options], capture_output=True, text=True)
    assert done.returncode == 1
    assert line in done.stderr.strip().splitlines()[-1]
    assert ('Traceback' in done.stderr) == traceback


def test_the_quickstart_takes_the_cpu_where_mmcv_has_no_cuda_ops(two_gpus, monkeypatch, capsys):
    monkeypatch.setattr(cuda_ops, 'get_compiling_cuda_version', lambda: 'not available')
    assert quickstart.choose_device(None) == torch.device('cpu')
    assert 'built without CUDA ops' in capsys.readouterr().out
    monkeypatch.setattr(cuda_ops, 'get_compiling_cuda_version', lambda: '13.0')
    assert quickstart.choose_device(None) == CUDA
    assert quickstart.choose_device('cuda:1').index == 1  # asked for: training says the remedy
