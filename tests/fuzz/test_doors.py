"""Odd and damaged files at every door: one short line of an ``InputError``, or a right answer."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name('doors.py')
DOORS = (
    *('training', 'check', 'truth', 'scored', 'submission', 'text'),
    *('image', 'video', 'checkpoint'),
)


def try_doors(names, count, folder):
    command = [sys.executable, SCRIPT, ','.join(names), '11', str(count), folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-500:]
    assert done.stdout.count(f'{count} inputs') == len(names)


def test_no_crash_no_hang_no_riddle(tmp_path):
    try_doors(DOORS, 30, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('door', DOORS)
def test_many_inputs_at_one_door(door, tmp_path):
    try_doors([door], 150, tmp_path)
