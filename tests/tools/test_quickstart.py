"""The quickstart on three videos and two steps: everything it promises appears."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from builders import noise_frames, write_frames

from tevit_vis.apis import init_model
from tevit_vis.cli import run_words
from tevit_vis.jobs import quickstart
from tevit_vis.model_zoo import ZOO

ROOT = Path(__file__).parents[2]
CONFIG = 'synthetic/mask2former_tiny'
CHECKPOINT = ROOT / 'configs' / 'synthetic' / 'tevit_tiny.pth'


@pytest.mark.skipif(
    importlib.util.find_spec('skimage') is None, reason='scikit-image is not installed'
)
@pytest.mark.parametrize(
    'system',
    [
        pytest.param(name, marks=pytest.mark.slow)
        for name in ('tevit', 'seqformer', 'ifc', 'ms_sts', 'mask2former')
    ],
)
def test_quickstart_makes_trains_scores_and_draws(system, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quickstart, 'NUM_TRAIN_VIDEOS', 2)
    monkeypatch.setattr(quickstart, 'NUM_VAL_VIDEOS', 1)
    arguments = [system, '--out', str(tmp_path), '--iters', '2', '--device', 'cpu']
    run_words(['quickstart', *arguments])
    printed = capsys.readouterr().out
    assert 'before' in printed
    assert 'after' in printed
    for name in ('overlay.mp4', 'curve.png'):
        assert (tmp_path / name).stat().st_size > 1000
    assert 'Compare' in (tmp_path / 'report' / 'index.html').read_text()
    assert json.loads((tmp_path / 'results.json').read_text())


def test_day_one_writes_a_video_lines_and_masks(tmp_path, run_here, monkeypatch):
    torch.save({'state_dict': init_model(CONFIG, device='cpu').state_dict()}, tmp_path / 'w.pth')
    monkeypatch.setenv('TEVIT_VIS_CACHE', str(tmp_path / 'cache'))
    for name in ('a', 'b'):
        write_frames(tmp_path / name, noise_frames(3, 48, 80))
    arguments = [tmp_path / 'a', tmp_path / 'b', '--config', CONFIG, '--out', tmp_path / 'out']
    arguments += ['--short-side', '32', '--score-thr', '0', '--device', 'cpu']
    done = run_here(ROOT / 'tools' / 'day_one.py', *arguments, '--weights', tmp_path / 'w.pth')
    assert done.returncode == 0, done.stderr
    for name in ('a', 'b'):
        assert (tmp_path / 'out' / f'{name}.mp4').stat().st_size > 1000
        assert len((tmp_path / 'out' / f'{name}.jsonl').read_text().splitlines()) == 3
        assert len(list((tmp_path / 'out' / f'{name}_masks').glob('*.png'))) == 3
    # Without weights it says what to fetch, and where to put it.
    done = run_here(ROOT / 'tools' / 'day_one.py', *arguments[:2], '--weights', 'zoo:nothing')
    assert 'tevit-vis download --list' in done.stderr
    entry = ZOO['mask2former/mask2former_r50_coco']
    local = replace(entry, address=entry.address.replace('download.openmmlab.com', '127.0.0.1:9'))
    monkeypatch.setitem(ZOO, entry.name, local)
    done = run_here(ROOT / 'tools' / 'day_one.py', tmp_path / 'a', '--device', 'cpu')
    assert done.returncode == 1
    assert f'put it at {tmp_path}/cache/checkpoints/mask2former_r50_lsj' in done.stderr
    assert len(done.stderr.strip().splitlines()[-1].split('error: ')) == 2


def test_the_shipped_checkpoint_is_small():
    assert CHECKPOINT.stat().st_size <= 8e6
