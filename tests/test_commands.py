"""The command tevit-vis: what it lists, what it says of mistakes, and that help comes at once."""

import argparse
import os
import re
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest

import tevit_vis
from tevit_vis import cli
from tevit_vis.commands import convert_checkpoint
from tevit_vis.converters import TABLES
from tevit_vis.utils import health
from tevit_vis.utils.cli import tool_parser
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.versions import UnfitStackError, missing_package

TOOLS = Path(__file__).parents[1] / 'tools'
HEAVY = {'torch', 'mmcv', 'mmdet'}
# Prints what a command finds in the environment when torch is not there yet.
HELP_OF_ONE = """
import os, sys
from tevit_vis.cli import run_words
try:
    run_words(['doctor', '--help'])
except SystemExit:
    print('torch' in sys.modules, os.environ.get('GOMP_SPINCOUNT'))
"""
# Prints what a process imports for the help of all commands.
HELP_OF_ALL = """
import contextlib, io, sys
from tevit_vis import cli
for name in cli.COMMANDS:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        cli.run_words([*name.split(), '--help'])
    assert 'torch' not in sys.modules, name
print(*sys.modules)
"""
WITHOUT_TORCH = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('torch', 'mmcv', 'mmdet'):
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)

sys.meta_path.insert(0, Blocker())
"""


def run_python(code, *arguments):
    return subprocess.run([sys.executable, '-c', code, *arguments], capture_output=True, text=True)


def test_all_modules_of_commands_are_listed_and_have_a_summary():
    folder = Path(cli.__file__).parent / 'commands'
    modules = {path.stem for path in folder.glob('*.py')} - {'__init__'}
    assert modules == set(map(cli.module_name, cli.COMMANDS))
    overview = cli.overview()
    for name in cli.COMMANDS:
        assert f'  {name} ' in overview
        assert 10 < len(cli.summary(name)) <= 100
        assert (
            cli.summary(name)
            in import_module(f'tevit_vis.commands.{cli.module_name(name)}').__doc__
        )


@pytest.mark.parametrize('name', cli.COMMANDS)
def test_help_shows_examples_of_this_command(name, capsys):
    with pytest.raises(SystemExit) as end:
        cli.run_words([*name.split(), '--help'])
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert re.search(rf'Examples:\n    .*tevit-vis {name}', text)
    assert '--debug' in text


def test_help_needs_no_torch():
    done = run_python(HELP_OF_ALL)
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stdout.split())


@pytest.mark.parametrize('path', sorted(p.relative_to(TOOLS) for p in TOOLS.rglob('*.py')), ids=str)
def test_scripts_are_commands(path, monkeypatch, call, capsys):
    with pytest.raises(SystemExit) as end:
        call(path, '--help')
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith('usage: tevit-vis ')


@pytest.mark.parametrize(
    ('words', 'line'),
    [
        (['trian'], "tevit-vis trian: no such command; did you mean 'train'?"),
        (['data', 'splt'], "tevit-vis data splt: no such command; did you mean 'data split'"),
        (['split'], "tevit-vis split: no such command; did you mean 'data split'"),
        (['data', 'qqqq', 'x'], 'tevit-vis data qqqq: no such command ('),
        (['xyzzy'], 'tevit-vis xyzzy: no such command ('),
    ],
)
def test_an_unknown_command_is_answered_with_the_nearest(words, line):
    with pytest.raises(InputError) as error:
        cli.run_words(words)
    assert str(error.value).startswith(line)


@pytest.mark.parametrize(
    ('words', 'line'),
    [
        (
            ['predict', 'a.mp4', '--scor-thr', '3'],
            'error: --scor-thr: no such option; did you',
        ),
        (
            ['train', 'a', '--work-dri=x'],
            'error: --work-dri: no such option; did you',
        ),
        (['train', 'a', 'b'], 'error: b: no such argument ('),
        (['train'], 'error: the following arguments are required: config ('),
    ],
)
def test_an_unknown_option_is_one_line_with_the_nearest(words, line, capsys):
    with pytest.raises(SystemExit) as end:
        cli.run_words(words)
    assert end.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith(line)
    assert text.count('\n') == 1
    assert f'"tevit-vis {words[0]} --help" shows all options' in text


@pytest.mark.parametrize('words', [[], ['--help'], ['-h'], ['help'], ['data'], ['data', '--help']])
def test_without_a_command_all_are_listed(words, capsys):
    cli.run_words(words)
    text = capsys.readouterr().out
    assert 'data split' in text
    assert ('predict' in text) == (words[:1] != ['data'])


def test_choices_that_stand_twice_are_the_same():
    assert set(convert_checkpoint.SYSTEMS) == set(TABLES)


def test_version(capsys):
    cli.run_words(['--version'])
    assert capsys.readouterr().out == f'tevit-vis {tevit_vis.__version__}\n'
    assert metadata.version('tevit-vis') == tevit_vis.__version__


def test_what_needs_torch_says_so_in_one_line():
    code = f"{WITHOUT_TORCH}\nsys.argv = ['x', 'flops', 'synthetic/tevit_tiny']\n"
    done = run_python(f'{code}from tevit_vis.cli import main\nmain()')
    assert done.returncode == 1
    assert done.stderr == 'error: torch: the package is missing: pip install torch\n'


def test_labels_scores_and_pages_need_no_torch():
    tools = ('conversion', 'editing', 'split', 'checks', 'fixes', 'synthetic_files', 'cut_frames')
    packages = ('report', 'formats', 'evaluation', 'video', 'deploy', 'demo', 'outputs')
    names = [*packages, *(f'data_tools.{name}' for name in tools)]
    done = run_python(f'{WITHOUT_TORCH}\nimport tevit_vis.{", tevit_vis.".join(names)}')
    assert done.returncode == 0, done.stderr


def test_missing_packages():
    assert (
        missing_package(UnfitStackError('tevit_vis: torch is wanted'))
        == 'tevit_vis: torch is wanted'
    )
    assert missing_package(ImportError('cannot import name x')) is None
    assert (
        missing_package(ModuleNotFoundError("No module named 'tevit_vis.x'", name='tevit_vis.x'))
        is None
    )


def test_a_prefix_of_an_option_is_taken():
    parser = tool_parser('Text.\n\nExamples:\n    x\n', 'tevit-vis x')
    parser.add_argument('--score-thr', type=float)
    assert parser.parse_args(['--score', '0.5']) == argparse.Namespace(score_thr=0.5, debug=False)


def test_doctor_says_that_all_is_well(capsys):
    cli.run_words(['doctor'])
    text = capsys.readouterr().out
    assert 'FAULT' not in text
    assert text.endswith('models run here\n')


def test_doctor_names_what_is_missing_and_the_remedy(capsys, monkeypatch):
    versions = {'torch': '1.9.0', 'mmcv-full': None, 'mmdet': '2.28.2'}
    monkeypatch.setattr(health, 'installed_version', versions.get)
    monkeypatch.setattr(health, 'BASE', ('numpy', 'absent_package'))
    with pytest.raises(InputError, match='3 of the things that models need are not well'):
        cli.run_words(['doctor'])
    text = capsys.readouterr().out
    assert '1.9.0; wanted: >=2.6, <3.0' in text
    assert 'pip install absent_package' in text
    assert text.count('FAULT') == 3


def test_doctor_runs_without_torch():
    done = run_python(
        f"{WITHOUT_TORCH}\nsys.argv = ['x', 'doctor']\nfrom tevit_vis.cli import main\nmain()"
    )
    assert done.returncode == 0, done.stderr
    assert "FAULT    mmcv's ops" in done.stdout
    assert done.stdout.endswith(
        'exported models run here (tevit-vis deploy), models of torch do not\n'
    )


def test_a_pipe_that_is_closed_ends_a_command_quietly():
    command = [sys.executable, '-m', 'tevit_vis', 'print-config', 'tevit/tevit_msgshift']
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b''
    assert process.returncode == 141


def test_print_config_shows_a_part(capsys):
    words = ['print-config', 'synthetic/tevit_tiny', '--cfg-options', 'optimizer.lr=0.5']
    cli.run_words([*words, '--key', 'optimizer'])
    assert 'lr=0.5' in capsys.readouterr().out
    with pytest.raises(InputError, match="optimizer has no key 'tpye'; did you mean 'type'"):
        cli.run_words([*words, '--key', 'optimizer.tpye'])
    with pytest.raises(InputError, match=r'optimizer\.lr has no key'):
        cli.run_words([*words, '--key', 'optimizer.lr.x'])


def test_flops_counts_all_parameters(capsys):
    cli.run_words(['flops', 'synthetic/tevit_tiny', '--frames', '2', '--size', '64x48'])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'synthetic/tevit_tiny, 2 frames of 64x48'
    assert any(line.startswith('all ') and '3.5 million' in line for line in lines)
    assert lines[-1].endswith('a frame')


def test_waiting_threads_sleep_sooner():
    plain = {key: value for key, value in os.environ.items() if 'OMP' not in key}
    line = [sys.executable, '-c', HELP_OF_ONE]
    shown = subprocess.run(line, env=plain, capture_output=True, text=True)
    assert shown.stdout.splitlines()[-1] == 'False 2000', shown.stderr


def test_how_threads_wait_is_for_the_user_to_say():
    for own in ({'GOMP_SPINCOUNT': '5'}, {'OMP_WAIT_POLICY': 'active'}):
        environment = dict(own)
        cli.share_cores(environment)
        assert environment == own
