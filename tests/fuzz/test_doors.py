"""Odd and damaged files at every door: one short line of an ``InputError``, or a right answer."""

import subprocess
import sys
from pathlib import Path

import pytest

DOORS = Path(__file__).with_name('doors.py')


@pytest.mark.parametrize(
    'door',
    [
        *('training', 'check', 'truth', 'scored', 'submission', 'text'),
        *('image', 'video', 'checkpoint'),
    ],
)
@pytest.mark.parametrize('count', [30, pytest.param(150, marks=pytest.mark.slow)])
def test_no_crash_no_hang_no_riddle(door, count, tmp_path):
    command = [sys.executable, DOORS, door, '11', str(count), tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-500:]
    assert f'{count} inputs' in done.stdout
