"""The quickstart on three videos and two steps: everything it promises appears."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / 'configs' / 'synthetic' / 'tevit_tiny.pth'


@pytest.mark.skipif(
    importlib.util.find_spec('skimage') is None, reason='scikit-image is not installed'
)
@pytest.mark.parametrize(
    'system',
    [
        pytest.param(name, marks=pytest.mark.slow)
        for name in ('tevit', 'seqformer', 'ifc', 'ms_sts')
    ],
)
def test_quickstart_makes_trains_scores_and_draws(system, tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location('quickstart', ROOT / 'tools' / 'quickstart.py')
    quickstart = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(quickstart)
    quickstart.NUM_TRAIN_VIDEOS, quickstart.NUM_VAL_VIDEOS = 2, 1
    arguments = [system, '--out', str(tmp_path), '--iters', '2', '--device', 'cpu']
    monkeypatch.setattr(sys, 'argv', ['quickstart.py', *arguments])
    quickstart.main()
    printed = capsys.readouterr().out
    assert 'before' in printed
    assert 'after' in printed
    for name in ('overlay.mp4', 'curve.png'):
        assert (tmp_path / name).stat().st_size > 1000
    assert json.loads((tmp_path / 'results.json').read_text())


def test_the_shipped_checkpoint_is_small():
    assert CHECKPOINT.stat().st_size <= 8e6
