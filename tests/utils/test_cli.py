"""What tools do with their arguments, with faults and with signals."""

import argparse
import os
import signal
import subprocess
import sys

import pytest

from tevit_vis.utils.cli import frame_size
from tevit_vis.utils.option_action import OptionAction


def parse(*options):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, default={})
    return parser.parse_args([part for option in options for part in option]).cfg_options


def test_options_add_up():
    once = ('--cfg-options', 'a.b=1', 'c=[1,(2,x)]')
    again = ('--cfg-options', "d=dict(type='A', n=None)", 'e=path(1).pth')
    assert parse(once, again) == {
        'a.b': 1,
        'c': [1, (2, 'x')],
        'd': dict(type='A', n=None),
        'e': 'path(1).pth',
    }


@pytest.mark.parametrize('option', ['x=[1,[2', 'x=(1', 'x=[a,b', 'x=' + '[' * 5000, 'x'])
def test_what_cannot_be_read_is_one_short_line(option, capsys):
    with pytest.raises(SystemExit):
        parse(('--cfg-options', option))
    line = capsys.readouterr().err.splitlines()[-1]
    assert 'brackets must be closed' in line or 'must be KEY=VALUE' in line
    assert len(line) < 200


def run(code, **kwargs):
    script = (
        'import sys, time\nfrom tevit_vis.utils.cli import run_tool\n'
        f'from tevit_vis.utils.errors import InputError\ndef main():\n    {code}\nrun_tool(main)'
    )
    return subprocess.Popen(
        [sys.executable, '-c', script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


@pytest.mark.parametrize('text', ['640', '640x', 'x360', '0x5', 'axb', '64x-3', '1x2x3', '²x2'])
def test_what_is_no_size_is_said_in_words(text):
    with pytest.raises(argparse.ArgumentTypeError, match='must be WIDTHxHEIGHT in pixels, such as'):
        frame_size(text)
    assert frame_size('64X32') == (64, 32)


def test_sigterm_ends_like_ctrl_c():
    process = run('print("begun", flush=True); time.sleep(60)')
    assert process.stdout.readline() == 'begun\n'
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors.splitlines()[-1]) == (1, 'interrupted')


def test_one_of_several_processes_ends_at_once():
    process = run('print("begun", flush=True); time.sleep(60)', env={**os.environ, 'RANK': '0'})
    assert process.stdout.readline() == 'begun\n'
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM


def test_a_fault_that_no_terminal_can_show_is_shown():
    process = run(r'raise InputError("a\ud800b: must be text")')
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.splitlines()[-1]) == (1, r'error: a\ud800b: must be text')
