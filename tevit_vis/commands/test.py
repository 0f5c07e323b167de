"""Test a model on videos in YouTube-VIS layout and write the submission.

To test with several processes, which share the videos, see tools/dist_test.sh.

Examples:
    tevit-vis test tevit/tevit_msgshift tevit_msgshift.pth --out results.json
    tevit-vis test synthetic/tevit_tiny configs/synthetic/tevit_tiny.pth --eval segm \\
        --json data/synthetic/val/annotations.json --root data/synthetic/val/JPEGImages
"""

from __future__ import annotations

import argparse

from tevit_vis.outputs.arguments import add_form_arguments
from tevit_vis.utils.cli import add_model_arguments, add_selection_arguments, positive, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    add_selection_arguments(parser)
    parser.add_argument('--json', help='annotation file (default: data.test.ann_file)')
    parser.add_argument('--root', help='image folder (default: data.test.img_prefix)')
    parser.add_argument('--out', default='results.json', help='results file (default: %(default)s)')
    parser.add_argument('--eval', choices=['segm'], help='score against the annotation file')
    parser.add_argument(
        '--report',
        metavar='DIR',
        help='with --eval, also write the pages of tevit-vis report to this folder (with a name in '
        '.json the numbers alone)',
    )
    parser.add_argument(
        '--show-dir',
        help='folder to write with --eval: videos of ground truth beside predictions, worst first',
    )
    parser.add_argument(
        '--show-most', type=positive, default=50, help='videos in --show-dir (default: %(default)s)'
    )
    add_form_arguments(parser, per_video=True)
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help='least score of what is written to these folders (default: %(default)s)',
    )
    parser.add_argument(
        '--resume', action='store_true', help='go on with an interrupted run of the same --out'
    )
    parser.add_argument(
        '--workers',
        type=whole_number,
        help='threads that load frames (default: data.workers_per_gpu)',
    )


def run(args: argparse.Namespace) -> None:
    from tevit_vis.jobs.test import run_test

    run_test(args)
