"""Measure the training data loader: time to read annotations, clips per second, and memory.

The memory of a worker is printed three times: all of it (RSS), with shared memory divided among
the processes that share it (PSS), and without shared memory (private).

Examples:
    tevit-vis benchmark-loader tevit/tevit_msgshift --workers 4 --clips 400
"""

from __future__ import annotations

import argparse

from tevit_vis.utils.cli import add_config_arguments, positive, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument(
        '--workers',
        type=whole_number,
        default=4,
        help='processes that load clips (default: %(default)s)',
    )
    parser.add_argument(
        '--clips', type=positive, default=400, help='clips to load (default: %(default)s)'
    )


def run(args: argparse.Namespace) -> None:
    from tevit_vis.jobs.benchmark_loader import run_benchmark_loader

    run_benchmark_loader(args)
