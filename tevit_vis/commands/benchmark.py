"""Measure a model: CPU seconds and wall seconds of each part, peak memory, parameters and FLOPs.

The frames are noise, and the weights are random unless --checkpoint names a file. The first clip
warms up and is not counted; the median of the others is printed.

Examples:
    OMP_NUM_THREADS=2 tevit-vis benchmark tevit/tevit_msgshift --frames 5 --size 640x360
    tevit-vis benchmark ifc/ifc_r50_ytvis19 --device cuda --amp bf16
"""

from __future__ import annotations

import argparse

from tevit_vis.utils.cli import add_config_arguments, add_precision_arguments, frame_size, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument('--checkpoint', help='checkpoint file (default: random weights)')
    parser.add_argument(
        '--frames', type=positive, default=5, help='frames of the clip (default: %(default)s)'
    )
    parser.add_argument(
        '--size', type=frame_size, default=(640, 360), help='of the frames (default: 640x360)'
    )
    parser.add_argument(
        '--repeat', type=positive, default=3, help='clips that are counted (default: %(default)s)'
    )
    parser.add_argument(
        '--device', default='cpu', help='cpu, cuda or cuda:N (default: %(default)s)'
    )
    add_precision_arguments(parser)


def run(args: argparse.Namespace) -> None:
    from tevit_vis.jobs.benchmark import run_benchmark

    run_benchmark(args)
