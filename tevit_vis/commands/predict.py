"""Find, mask, name and follow the objects of videos, and draw them into copies.

INPUT is a video file, a folder of images or of videos, a pattern such as "clips/*.mp4", the URL of
a stream or the number of a camera. With several inputs, --out, --json and all other outputs name
folders.

Without --config and --checkpoint, the model is one whose published weights were fetched before, or
else a Mask2Former that knows the 80 kinds of objects of COCO (people, cars, animals, ...; weights
under Apache-2.0, fetched once). With --config alone, the weights are those published for it.

Examples:
    tevit-vis predict video.mp4
    tevit-vis predict "clips/*.mp4" --classes person,dog --out drawn/ --json found/
    tevit-vis predict video.mp4 --config tevit/tevit_msgshift --device cuda --amp bf16
    tevit-vis predict video.mp4 --config mine.py --checkpoint work_dirs/mine/latest.pth
    tevit-vis predict video.mp4 --config synthetic/tevit_tiny     (the toy model of the quickstart)
"""

from __future__ import annotations

import argparse

from tevit_vis.outputs.arguments import add_video_arguments
from tevit_vis.utils.cli import add_cfg_options, add_loading_arguments, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_choice_arguments(parser)
    add_video_arguments(parser)


def add_choice_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name the model, all of which have defaults."""
    parser.add_argument('--config', help='config file, or its name below configs/')
    parser.add_argument('--checkpoint', help='checkpoint file, zoo, or zoo:NAME (see download)')
    add_cfg_options(parser)
    add_loading_arguments(parser)
    parser.add_argument(
        '--short-side',
        type=positive,
        metavar='PIXELS',
        help='of what the model sees: larger finds smaller objects and takes longer (default: as '
        'in the config; 480 on a CPU if no model is named)',
    )


def run(args: argparse.Namespace) -> None:
    from tevit_vis.jobs.predict import run_predict

    run_predict(args)
