"""Find the instances of videos with an exported model, without torch, mmcv and mmdet.

FOLDER is that of tevit-vis export. INPUT is a video file, a folder of images or of videos, a
pattern such as "clips/*.mp4", the URL of a stream or the number of a camera. With several inputs,
--out, --json and all other outputs name folders.

Examples:
    tevit-vis deploy exported walk.mp4 --out found.mp4 --json found.json
    tevit-vis deploy exported rtsp://host/stream --no-video --jsonl found.jsonl
    tevit-vis deploy exported "clips/*.mp4" --out drawn --device cuda
"""

from __future__ import annotations

import argparse

from tevit_vis.deploy import load_model
from tevit_vis.deploy.sessions import PROVIDERS
from tevit_vis.outputs.arguments import add_video_arguments, predict_from_arguments
from tevit_vis.utils.cli import positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('folder', metavar='FOLDER', help='exported model')
    parser.add_argument(
        '--device', choices=list(PROVIDERS), default='cpu', help='(default: %(default)s)'
    )
    parser.add_argument(
        '--threads', type=positive, help='of the CPU (default: OMP_NUM_THREADS, else all cores)'
    )
    add_video_arguments(parser)


def run(args: argparse.Namespace) -> None:
    predict_from_arguments(
        args, lambda: load_model(args.folder, args.device, args.threads), [args.folder]
    )
