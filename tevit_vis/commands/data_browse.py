"""Show what training sees: clips after sampling and augmentation, with their annotations.

An image has one row per clip, with the frames in the order in which the network gets them. A
video shows one clip after the other.

Examples:
    tevit-vis data browse tevit/tevit_msgshift --out clips.png --clips 8
    tevit-vis data browse synthetic/tevit_tiny --out clips.mp4 --fps 5
"""

from __future__ import annotations

import argparse

from tevit_vis.utils.cli import add_config_arguments, positive, seed_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument('--out', required=True, help='image (.png, .jpg) or video (.mp4)')
    parser.add_argument(
        '--clips', type=positive, default=8, help='clips to show (default: %(default)s)'
    )
    parser.add_argument(
        '--seed', type=seed_number, default=0, help='chooses the clips (default: %(default)s)'
    )
    parser.add_argument(
        '--fps', type=float, default=2.0, help='frames per second of a video (default: 2)'
    )


def run(args: argparse.Namespace) -> None:
    from tevit_vis.jobs.data_browse import run_data_browse

    run_data_browse(args)
