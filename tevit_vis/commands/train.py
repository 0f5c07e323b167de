"""Train a model.

Logs and checkpoints go to work_dirs/CONFIG. To train with several processes, see
tools/dist_train.sh and tools/slurm_train.sh.

Examples:
    tevit-vis train tevit/tevit_msgshift --work-dir work_dirs/mine
    tevit-vis train tevit/tevit_msgshift --work-dir work_dirs/mine --auto-resume
    tevit-vis train synthetic/tevit_tiny --cfg-options runner.max_iters=100 optimizer.lr=1e-4
"""

from __future__ import annotations

import argparse

from tevit_vis.utils.cli import add_config_arguments, add_trust_argument, seed_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument(
        '--work-dir', help='folder for logs and checkpoints (default: work_dirs/CONFIG)'
    )
    parser.add_argument('--resume-from', help='checkpoint of the run to continue')
    parser.add_argument(
        '--auto-resume', action='store_true', help='continue from the last checkpoint in --work-dir'
    )
    parser.add_argument('--no-validate', action='store_true', help='do not test on data.val')
    parser.add_argument(
        '--seed', type=seed_number, default=0, help='random seed (default: %(default)s)'
    )
    parser.add_argument(
        '--deterministic', action='store_true', help='make the losses of every run equal (slower)'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale learning rate and iterations to the number of clips per step',
    )
    parser.add_argument(
        '--full-log', action='store_true', help='show all of the log, not only the main numbers'
    )
    add_trust_argument(parser)
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: a GPU if there is one)')


def run(args: argparse.Namespace) -> None:
    from tevit_vis.jobs.train import run_train

    run_train(args)
