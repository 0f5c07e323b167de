"""Teach a small model objects that it never saw, and show what it finds and what it gets wrong.

The small TeViT that ships with the project knows five kinds of objects. The videos that are made
here have three more. It is tested, trained for two minutes, and tested again on videos that
training did not see: scores of old and new kinds, pages that say why, and a drawn video.

Of the other systems, Mask2Former starts from TeViT's backbone and the rest from random weights:
their loss falls, but good scores take far longer (see the system's README).

Examples:
    tevit-vis quickstart
    tevit-vis quickstart seqformer --iters 50 --device cpu
"""

from __future__ import annotations

import argparse

from tevit_vis.utils.cli import positive, seed_number

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
    parser.add_argument(
        '--seed', type=seed_number, default=0, help='of the training (default: %(default)s)'
    )
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: a GPU if there is one)')


def run(args: argparse.Namespace) -> None:
    from tevit_vis.jobs.quickstart import run_quickstart

    run_quickstart(args)
