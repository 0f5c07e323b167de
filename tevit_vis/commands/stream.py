"""Follow the objects of a camera, a live stream or a long video, with memory that does not grow.

INPUT is the number of a camera, the URL of a stream, or a file. Each frame becomes a line of
JSON as soon as it is final: tracks, classes, scores, boxes and masks. Models without windows get
windows of 10 frames, 5 apart. Ctrl-C stops and keeps what was written.

The model is chosen as by "tevit-vis predict".

Examples:
    tevit-vis stream 0 --jsonl camera.jsonl
    tevit-vis stream rtsp://host/door --config ifc/ifc_r50_ytvis19 --checkpoint ifc_r50.pth
    tevit-vis stream hours.mp4 --out hours_drawn.mp4 --window 10 --stride 7
"""

from __future__ import annotations

import argparse

from tevit_vis.commands.predict import add_choice_arguments
from tevit_vis.outputs.arguments import add_video_arguments
from tevit_vis.video import expand_inputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_choice_arguments(parser)
    add_video_arguments(parser)
    parser.set_defaults(out=None)
    for action in parser._actions:
        if action.dest == 'out':
            action.help = 'video to write; a folder for several inputs (default: none)'
        elif action.dest == 'jsonl':
            action.help = 'file to write (default: stream.jsonl); a folder for several inputs'


def run(args: argparse.Namespace) -> None:
    from tevit_vis.jobs.predict import run_predict

    if args.out is None:
        args.no_video, args.out = True, 'out.mp4'  # a name that is not used
    if args.jsonl is None:
        args.jsonl = 'stream.jsonl' if len(expand_inputs(args.inputs)) == 1 else 'streams'
    run_predict(args, as_stream=True)
