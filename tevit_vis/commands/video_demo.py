"""Find the instances of videos and draw them into copies, with a config and a checkpoint.

This is "tevit-vis predict" with the arguments of mmdet's demos; see its help for what INPUT may be.

Examples:
    tevit-vis video-demo tevit/tevit_msgshift tevit_msgshift.pth "clips/*.mp4" --out drawn/
    tevit-vis video-demo ifc/ifc_r50_ytvis19 ifc_r50.pth 0 --jsonl camera.jsonl
"""

from __future__ import annotations

import argparse

from tevit_vis.outputs.arguments import add_video_arguments
from tevit_vis.utils.cli import add_model_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.set_defaults(short_side=None)
    add_video_arguments(parser)


def run(args: argparse.Namespace) -> None:
    from tevit_vis.jobs.predict import run_predict

    run_predict(args)
