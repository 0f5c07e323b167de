"""Find the instances of videos with an exported model, without torch, mmcv and mmdet.

FOLDER is that of tools/export.py. INPUT is a video file, a folder of images or of videos, a
pattern such as "clips/*.mp4", the URL of a stream or the number of a camera. With several inputs,
--out, --json and all other outputs name folders.

Examples:
    python -m tevit_vis.deploy exported walk.mp4 --out found.mp4 --json found.json
    python -m tevit_vis.deploy exported rtsp://host/stream --no-video --jsonl found.jsonl
    python -m tevit_vis.deploy exported "clips/*.mp4" --out drawn --device cuda
"""

import argparse

from tevit_vis.deploy import load_model
from tevit_vis.deploy.sessions import PROVIDERS
from tevit_vis.outputs.arguments import add_video_arguments, predict_from_arguments
from tevit_vis.utils.cli import positive, run_tool, tool_parser


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__ or '')
    parser.add_argument('folder', metavar='FOLDER', help='exported model')
    parser.add_argument(
        '--device', choices=list(PROVIDERS), default='cpu', help='(default: %(default)s)'
    )
    parser.add_argument(
        '--threads', type=positive, help='of the CPU (default: OMP_NUM_THREADS, else all cores)'
    )
    add_video_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    predict_from_arguments(
        args, lambda: load_model(args.folder, args.device, args.threads), [args.folder]
    )


if __name__ == '__main__':
    run_tool(main)
