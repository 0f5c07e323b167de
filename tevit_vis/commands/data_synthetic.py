"""Make a synthetic data set in YouTube-VIS layout: cut-outs of photographs that move and cross.

Writes OUT/annotations.json and OUT/JPEGImages/. The same arguments give the same files; with more
--videos, the first ones stay the same.

Examples:
    tevit-vis data synthetic data/synthetic/train --videos 1500 --seed 0
    tevit-vis data synthetic data/synthetic/val --videos 40 --seed 1000
    tevit-vis data synthetic data/synthetic/hard --videos 30 --frames 80 --absence 5 40
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tevit_vis.utils.cli import frame_size, positive, seed_number
from tevit_vis.utils.files import check_writable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('out', type=Path, metavar='OUT', help='folder to write')
    parser.add_argument(
        '--videos', type=positive, default=100, help='number of videos (default: %(default)s)'
    )
    parser.add_argument(
        '--frames', type=positive, default=20, help='frames per video (default: %(default)s)'
    )
    parser.add_argument(
        '--size', type=frame_size, default=(160, 96), help='of the frames (default: 160x96)'
    )
    parser.add_argument(
        '--absence',
        type=positive,
        nargs=2,
        metavar=('FEWEST', 'MOST'),
        help='frames for which each object is out of sight once; two of a kind in every video',
    )
    parser.add_argument(
        '--with-new',
        action='store_true',
        help='also objects that the shipped checkpoint never saw: horse, gland, chessboard',
    )
    parser.add_argument(
        '--seed', type=seed_number, default=0, help='random seed (default: %(default)s)'
    )


def run(args: argparse.Namespace) -> None:
    from tevit_vis.data_tools.synthetic_files import make_synthetic
    from tevit_vis.data_tools.synthetic_world import SyntheticWorld

    check_writable(args.out / 'annotations.json')
    absence = tuple(args.absence) if args.absence else None
    world = SyntheticWorld(args.size, args.frames, absence, args.with_new)
    annotations, images = make_synthetic(args.out, args.videos, args.seed, world)
    print(f'{annotations}: {args.videos} videos of {args.frames} frames; images in {images}')
