"""tools/gpu_check.py on the CPU, where everything must be equal to itself."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

from tevit_vis.apis import random_models
from tevit_vis.apis.gpu_check import BOUNDS, compare_system, relative
from tevit_vis.apis.random_models import random_batch
from tevit_vis.apis.speed import measure_speed, measure_training

TOOL = Path(__file__).parents[2] / 'tools' / 'gpu_check.py'
CPU = torch.device('cpu')


@pytest.fixture
def call(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['gpu_check.py', *map(str, arguments)])
        runpy.run_path(str(TOOL), run_name='__main__')
        return capsys.readouterr().out

    return run


@pytest.mark.slow
def test_one_command_ends_in_tables_and_a_report(call, tmp_path):
    out = tmp_path / 'gpu_check.json'
    options = ['--systems', 'IFC', '--frames', 2, '--modes', 'fp32']
    printed = call('--quick', '--device', 'cpu', '--out', out, *options)
    assert 'Equal to the CPU' in printed
    report = json.loads(out.read_text())
    assert report['device']['torch'] == torch.__version__
    assert all(row['passed'] for row in report['comparisons'])
    assert {row['quantity'] for row in report['comparisons']} > {'loss_ce', 'gradient norms'}
    assert max(report['two_processes'].values()) < 1e-4
    (speed,) = report['speed']
    assert speed['fps'] > 0
    assert 0 < speed['rle_part'] < 1
    assert [row['mode'] for row in report['training']] == ['fp32', 'bf16']
    assert all(row['seconds'] > 0 for row in report['training'])


@pytest.mark.slow
def test_all_systems_agree_with_the_cpu(call, tmp_path):
    printed = call('--quick', '--device', 'cpu', '--out', tmp_path / 'gpu_check.json')
    for system in random_models.SMALL_CONFIGS:
        assert f'{system}: the largest difference is 0% of its bound' in printed


@pytest.mark.parametrize(
    ('spoil', 'quantity'),
    [
        ('class_branch', 'class_scores'),
        ('mask_weights', 'logits'),
    ],
)
def test_a_device_that_computes_something_else_is_found(monkeypatch, spoil, quantity):
    """The first model of each pair is the device's."""
    build, built = random_models.init_model, []

    def spoiled(*args, **kwargs):
        model = build(*args, **kwargs)
        if not built:
            with torch.inference_mode():
                getattr(model.bbox_head, spoil)[-1].weight.mul_(1.2)
        built.append(model)
        return model

    monkeypatch.setattr(random_models, 'init_model', spoiled)
    rows = compare_system('IFC', CPU)
    assert any(quantity in row.quantity for row in rows if not row.passed)
    assert all(row.passed for row in rows if row.quantity.startswith('features'))


def test_faults_are_told_in_the_table(monkeypatch):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError('CUDA out of memory')

    monkeypatch.setattr('tevit_vis.apis.speed.inference_video', full)
    row = measure_speed('IFC', 'synthetic/ifc_tiny', CPU, 'fp32', 2, repeats=1)
    assert 'the GPU is out of memory' in row['fault']
    row = measure_training('IFC', 'synthetic/ifc_tiny', CPU, 'fp16', 2)
    assert 'fp16 needs a GPU' in row['fault']
    row = measure_speed('IFC', 'synthetic/ifc_tiny', CPU, 'fp16', 2)
    assert 'fp16 needs a GPU' in row['fault']


def test_differences_are_relative_to_the_largest_value():
    assert relative(torch.tensor([1.0, 8.0]), torch.tensor([2.0, 10.0])) == pytest.approx(0.2)
    assert relative(torch.zeros(2), torch.zeros(3)) == float('inf')
    assert relative(torch.zeros(0), torch.zeros(0)) == 0.0
    assert max(BOUNDS.values()) < 0.1


def test_drawn_batches_have_moving_instances():
    batch = random_batch(2, 3, (96, 160))
    assert batch['img'].shape == (2, 3, 3, 96, 160)
    first, last = batch['gt_bboxes'][0][0], batch['gt_bboxes'][0][2]
    assert (first != last).any()
    for boxes, masks in zip(batch['gt_bboxes'][1], batch['gt_masks'][1]):
        for (x1, y1, x2, y2), mask in zip(boxes.int().tolist(), masks.masks):
            assert mask[y1:y2, x1:x2].all()
            assert mask.sum() == (y2 - y1) * (x2 - x1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
@pytest.mark.parametrize('system', list(random_models.SMALL_CONFIGS))
def test_the_gpu_gives_the_cpus_numbers(system):
    rows = compare_system(system, torch.device('cuda', 0))
    assert all(row.passed for row in rows), [row for row in rows if not row.passed]
