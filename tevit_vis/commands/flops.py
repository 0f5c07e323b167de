"""Count the parameters and the floating-point operations of a model.

The operations are those of a clip, as torch counts them: matrix products, convolutions and
attention; the sampling of deformable attention and RoIAlign is not among them.

Examples:
    tevit-vis flops tevit/tevit_msgshift
    tevit-vis flops ifc/ifc_r50_ytvis19 --frames 5 --size 640x360
"""

from __future__ import annotations

import argparse

from tevit_vis.utils.cli import add_config_arguments, frame_size, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument(
        '--frames', type=positive, default=5, help='frames of the clip (default: %(default)s)'
    )
    parser.add_argument(
        '--size', type=frame_size, default=(640, 360), help='of the frames (default: 640x360)'
    )


def run(args: argparse.Namespace) -> None:
    from tevit_vis.jobs.benchmark import run_flops

    run_flops(args)
