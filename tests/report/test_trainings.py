"""Trainings compared by their logs."""

import json

import numpy as np
import pytest
from training_cases import write_training

from tevit_vis.report.charts import MAX_POINTS, line_chart
from tevit_vis.report.training_logs import Curve, group_runs, read_training


def test_seeds_of_a_config_are_taken_together(tmp_path):
    folders = [write_training(tmp_path / f'a{seed}', seed) for seed in range(3)]
    folders.append(write_training(tmp_path / 'b', 0, config='lr = 2', offset=0.1))
    first, second = group_runs([read_training(str(folder)) for folder in folders])
    assert [len(first.runs), len(second.runs)] == [3, 1]
    assert (first.name, second.name) == ('small (a0)', 'small (b)')
    mean, spread = first.final('segm_AP')
    assert mean == pytest.approx(0.42)
    assert spread == pytest.approx(0.02)
    mean, spread = second.final('segm_AP')
    assert mean == pytest.approx(0.5)
    assert np.isnan(spread), 'one run has none'
    twice = group_runs([read_training(str(folders[0])), read_training(f'{folders[0]}/')])
    assert len(twice[0].runs) == 1
    curve = first.curve('segm_AP')
    assert curve.iterations == [20, 40]
    assert curve.low[1] == pytest.approx(0.40)
    assert curve.high[1] == pytest.approx(0.44)
    assert first.curve('dAP Temp').mean == pytest.approx([0.022, 0.042])
    assert first.curve('nothing') is None
    assert first.final('nothing') is None


def test_a_resumed_run_counts_once(tmp_path):
    folder = write_training(tmp_path / 'a', 0)
    later = [dict(seed=0, exp_name='small', config='lr = 1')]
    later += [dict(mode='train', epoch=1, iter=40, loss=7.0, time=0.5)]
    log = folder / '20260102_000000.log.json'
    log.write_text('\n'.join(map(json.dumps, later)) + '\n{"mode": "tr')  # killed while writing
    run = read_training(str(folder))
    assert run.curves['loss'][40] == 7.0
    assert run.curves['loss'][35] == pytest.approx(2 / 35)
    assert run.seconds == 0.5


def test_the_command(call, call_fails, tmp_path):
    folders = [write_training(tmp_path / f'a{seed}', seed) for seed in range(2)]
    out = tmp_path / 'runs.html'
    printed = call('compare_runs.py', *folders, '--out', out)
    assert '41.0 ± 1.4' in printed
    page = out.read_text()
    assert '41.0 ± 1.4' in page
    assert 'dAP Temp' in page
    assert 'http' not in page
    (tmp_path / 'empty').mkdir()
    line = call_fails('compare_runs.py', tmp_path / 'empty', '--out', tmp_path / 'other.html')
    assert (
        line
        == f'error: {tmp_path}/empty: must be the work dir of a training, but has no *.log.json'
    )
    assert not (tmp_path / 'other.html').exists()
    report = folders[0] / 'val' / 'iter_20.report.json'
    report.write_text('[]')
    assert 'must be the report of a validation' in call_fails('compare_runs.py', *folders)
    report.unlink()
    log = folders[0] / '20260101_000000.log.json'
    log.write_text('{"seed": 0\n{}\n')
    assert 'line 1 must be JSON' in call_fails('compare_runs.py', *folders, '--out', out)
    assert out.read_text() == page
    assert '--out: must end in .html' in call_fails('compare_runs.py', *folders, '--out', 'a.pdf')


def test_a_diverged_run_has_a_curve_as_far_as_it_is_finite(call, tmp_path):
    folder = write_training(tmp_path / 'a', 0)
    log = folder / '20260101_000000.log.json'
    log.write_text(log.read_text().replace('"loss": 0.05,', '"loss": NaN,'))
    assert 40 not in read_training(str(folder)).curves['loss']
    call('compare_runs.py', folder, '--out', tmp_path / 'runs.html')
    assert 'nan' not in (tmp_path / 'runs.html').read_text()


def test_a_shorter_run_is_compared_where_both_are(tmp_path):
    folders = [write_training(tmp_path / name, n) for n, name in enumerate('ab')]
    log = folders[1] / '20260101_000000.log.json'
    log.write_text('\n'.join(log.read_text().splitlines()[:6]))
    (folders[1] / 'val' / 'iter_40.report.json').unlink()
    (group,) = group_runs([read_training(str(folder)) for folder in folders])
    assert group.final('segm_AP')[0] == pytest.approx(0.21)
    assert group.final('HOTA')[0] == pytest.approx(0.21)


def test_long_curves_are_averaged():
    values = list(range(1000))
    curve = Curve(values, values, values, values)
    chart = line_chart('loss', {0: curve})
    points = [tuple(map(float, point.split(','))) for point in chart.lines[0].points.split()]
    assert len(points) == MAX_POINTS
    assert points[0][1] > points[-1][1], 'larger values are higher'
    assert points == sorted(points)
