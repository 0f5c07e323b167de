"""The command ``tevit-vis``: finds the module of a subcommand, and runs it.

A subcommand is a module of ``tevit_vis.commands`` with a docstring, whose first line is its
summary and whose last section holds examples; ``add_arguments(parser)``; and ``run(args)``. Only
the module that is asked for is imported, and it imports torch only when it runs, so that help
comes at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping, Sequence
from importlib import import_module
from pathlib import Path

from tevit_vis.utils.cli import run_tool, tool_parser
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import did_you_mean
from tevit_vis.version import __version__

GROUPS = {
    'videos': ('predict', 'stream', 'demo', 'deploy', 'download', 'doctor'),
    'models': ('train', 'test', 'evaluate', 'report', 'compare', 'submission', 'export'),
    'data': (
        'convert',
        'data check',
        'data split',
        'data browse',
        'data stats',
        'data merge',
        'data subset',
        'data remap',
        'data pseudo-label',
        'data synthetic',
    ),
    'more': (
        'quickstart',
        'day-one',
        'video-demo',
        'print-config',
        'flops',
        'benchmark',
        'benchmark-loader',
        'gpu-check',
        'convert-checkpoint',
        'publish-checkpoint',
    ),
}
COMMANDS = tuple(name for names in GROUPS.values() for name in names)
EXAMPLES = """examples:
  tevit-vis predict video.mp4                          people, cars, animals, ...: out.mp4
  tevit-vis stream 0 --jsonl camera.jsonl              the first camera, a line per frame
  tevit-vis convert labels.xml train.json              labels of CVAT, COCO, DAVIS, SAM 2, ...
  tevit-vis train tevit/tevit_msgshift --work-dir runs/mine
  tevit-vis train --help                               all options of a command, with examples"""


def module_name(command: str) -> str:
    """Returns the module of ``tevit_vis.commands`` that is a subcommand.

    Example:
        >>> module_name('data pseudo-label')
        'data_pseudo_label'
    """
    return command.replace(' ', '_').replace('-', '_')


def summary(command: str) -> str:
    """Returns what a subcommand does, from its docstring, without importing its module."""
    path = Path(__file__).parent / 'commands' / f'{module_name(command)}.py'
    with path.open(encoding='utf-8') as file:
        return file.readline().strip().strip('"').partition(': ')[0].rstrip('.')


def overview(prefix: str = '') -> str:
    """Returns the help of all subcommands that begin with a prefix, such as ``data``."""
    lines = [f'usage: tevit-vis {prefix or "COMMAND"} ...', '']
    if not prefix:
        lines = [*lines, 'Find, mask, name and follow every object in a video.', '']
    for group, names in GROUPS.items():
        shown = [name for name in names if name.startswith(prefix)]
        if shown:
            lines.append(f'{group}:')
            lines += [f'  {name:20} {summary(name)}' for name in shown]
            lines.append('')
    return '\n'.join([*lines, *([] if prefix else [EXAMPLES])]).rstrip()


def split_command(words: Sequence[str]) -> tuple[str, list[str]]:
    """Splits the words of a command line into the subcommand and its arguments.

    Raises:
        InputError: there is no such subcommand.

    Example:
        >>> split_command(['data', 'split', 'mine.json'])
        ('data split', ['mine.json'])
    """
    for length in (2, 1):
        name = ' '.join(words[:length])
        if name in COMMANDS:
            return name, list(words[length:])
    is_pair = any(name.startswith(f'{words[0]} ') for name in COMMANDS)
    name = ' '.join(words[:2]) if is_pair else words[0]
    hint = did_you_mean(name, COMMANDS) or did_you_mean(name, [c.split()[-1] for c in COMMANDS])
    raise InputError(f'tevit-vis {name}: no such command{hint} ("tevit-vis --help" lists all)')


def run_words(words: Sequence[str]) -> None:
    """Runs the subcommand that the words of a command line ask for.

    Raises:
        InputError: there is no such subcommand.
        SystemExit: help was asked for, or an argument is wrong.
    """
    if words and words[0] == 'help':
        words = [*words[1:], '--help']
    is_group = len(words) in (1, 2) and any(name.startswith(f'{words[0]} ') for name in COMMANDS)
    if not words or words[0] in ('-h', '--help'):
        print(overview())
    elif words[0] == '--version':
        print(f'tevit-vis {__version__}')
    elif is_group and words[1:] in ([], ['--help'], ['-h']):
        print(overview(words[0]))
    else:
        share_cores(os.environ)
        name, arguments = split_command(words)
        command = import_module(f'tevit_vis.commands.{module_name(name)}')
        parser = tool_parser(command.__doc__ or '', f'tevit-vis {name}')
        command.add_arguments(parser)
        command.run(parser.parse_args(arguments))


def share_cores(environment: MutableMapping[str, str]) -> None:
    """Lets threads that wait for each other go to sleep sooner, before torch is imported.

    GNU's OpenMP, which torch has on Linux, makes them wait busily for milliseconds. Where another
    process takes a core, a thread then waits for one that has no core: a training of the
    quickstart on two cores took 16 seconds a step beside a busy process, and takes 1 so. Alone it
    takes .48 instead of .43.

    Args:
        environment: of the process; what a user has set there stays.

    Example:
        >>> environment = {}
        >>> share_cores(environment)
        >>> environment
        {'GOMP_SPINCOUNT': '2000'}
    """
    if not {'GOMP_SPINCOUNT', 'OMP_WAIT_POLICY'} & set(environment):
        environment['GOMP_SPINCOUNT'] = '2000'


def run_command(name: str) -> None:
    """Runs a subcommand with the arguments of this process: what the scripts in ``tools/`` do."""
    run_tool(lambda: run_words([*name.split(), *sys.argv[1:]]))


def main() -> None:
    """Runs ``tevit-vis``."""
    run_tool(lambda: run_words(sys.argv[1:]))


if __name__ == '__main__':
    main()
