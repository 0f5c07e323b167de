"""Count what is in a data set: a page with classes, sizes, lengths, what comes together, samples.

DIR/index.html opens from the disk; DIR/statistics.json has the numbers.

Examples:
    tevit-vis data stats train.json --frames train/JPEGImages --out statistics
"""

from __future__ import annotations

import argparse
import os

from tevit_vis.annotations import read_annotation_file
from tevit_vis.utils.cli import positive
from tevit_vis.utils.console import ProgressBar
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('annotations', metavar='ANN.json', help='annotation file')
    parser.add_argument('--frames', metavar='ROOT', help='image folder (default: no samples)')
    parser.add_argument('--out', metavar='DIR', required=True, help='folder to write')
    parser.add_argument(
        '--samples', type=positive, default=12, help='videos that are shown (default: %(default)s)'
    )


def run(args: argparse.Namespace) -> None:
    from tevit_vis.report import DataSet
    from tevit_vis.report.statistics import write_statistics

    if args.frames is not None and not os.path.isdir(args.frames):
        raise InputError(f'--frames {args.frames}: image folder must be there, but it is not')
    if not os.path.isdir(args.out):
        check_writable(args.out)
    data_set = DataSet.parse(read_annotation_file(args.annotations), args.annotations)
    with ProgressBar(unit='video', desc='draw', disable=args.frames is None) as bar:
        write_statistics(data_set, args.out, args.frames, args.samples, bar.update)
    print(f'open {args.out}/index.html')
