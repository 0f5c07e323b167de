"""Train a small model on synthetic videos, and show what it finds and what it gets wrong.

Makes the videos, trains for a few minutes, and tests on videos that training did not see. TeViT
starts from the checkpoint that ships with the project, and Mask2Former from its backbone. The other
systems start from random weights: their loss falls, but good scores take far longer (see the
system's README).

Examples:
    tevit-vis quickstart
    tevit-vis quickstart seqformer --iters 50 --device cpu
"""

from __future__ import annotations

import argparse

from tevit_vis.utils.cli import positive

SYSTEMS = ('tevit', 'seqformer', 'ifc', 'ms_sts', 'mask2former')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'system',
        nargs='?',
        default='tevit',
        choices=SYSTEMS,
        help='system to train (default: %(default)s)',
    )
    parser.add_argument(
        '--out',
        help='folder to write (default: outputs/quickstart, or outputs/quickstart_SYSTEM if the '
        'system is not tevit)',
    )
    parser.add_argument(
        '--iters', type=positive, help='training iterations (default: those of the config)'
    )
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: a GPU if there is one)')


def run(args: argparse.Namespace) -> None:
    from tevit_vis.jobs.quickstart import run_quickstart

    run_quickstart(args)
