"""Take a part of a data set in YouTube-VIS layout: by category, by length, some videos at random.

Examples:
    tevit-vis data subset train.json --categories person,dog --out people_and_dogs.json
    tevit-vis data subset train.json --lengths 10 100 --videos 50 --seed 1 --out small.json
"""

from __future__ import annotations

import argparse

from tevit_vis.data_tools.editing import subset
from tevit_vis.formats import ReadOptions, find_format
from tevit_vis.utils.cli import positive, seed_number
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.json_files import write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('annotations', metavar='ANN.json', help='annotation file')
    parser.add_argument('--out', required=True, help='file to write')
    parser.add_argument(
        '--categories',
        type=lambda text: [name.strip() for name in text.split(',')],
        metavar='NAME,NAME',
        help='keep these; videos without any of them are left out (default: all)',
    )
    parser.add_argument(
        '--lengths',
        nargs=2,
        type=positive,
        metavar=('LEAST', 'MOST'),
        help='keep videos of so many frames (default: all)',
    )
    parser.add_argument('--videos', type=positive, help='keep so many videos (default: all)')
    parser.add_argument(
        '--seed', type=seed_number, default=0, help='of the draw of videos (default: %(default)s)'
    )


def run(args: argparse.Namespace) -> None:
    check_writable(args.out, not_over=[args.annotations])
    content = find_format('ytvis').read(args.annotations, ReadOptions())
    lengths = tuple(args.lengths) if args.lengths else None
    part = subset(content, args.categories, lengths, args.videos, args.seed)
    write_json(part, args.out)
    for name in ('videos', 'annotations', 'categories'):
        print(f'{name}: {len(part[name])} of {len(content[name])}')
