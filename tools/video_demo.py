"""Find the instances of videos and draw them into copies.

INPUT is a video file, a folder of images or of videos, a pattern such as "clips/*.mp4", the URL of
a stream or the number of a camera. With several inputs, --out, --json and all other
outputs name folders.

With windows (--window, or set in the config) frames are drawn and written as they come, and memory
does not grow with the length of the video. Ctrl-C stops and keeps what was drawn.

Examples:
    python tools/video_demo.py synthetic/tevit_tiny configs/synthetic/tevit_tiny.pth video.mp4
    python tools/video_demo.py tevit/tevit_msgshift tevit_msgshift.pth "clips/*.mp4" --out drawn/
    python tools/video_demo.py ifc/ifc_r50_ytvis19 ifc_r50.pth 0 --jsonl camera.jsonl
"""

import argparse

from tevit_vis.apis import TorchVideoModel, init_model
from tevit_vis.outputs.arguments import add_video_arguments, predict_from_arguments
from tevit_vis.utils.cli import add_model_arguments, run_tool, tool_parser
from tevit_vis.utils.config import find_config


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    add_model_arguments(parser)
    add_video_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()

    def load() -> TorchVideoModel:
        model = init_model(
            args.config,
            args.checkpoint,
            args.device,
            cfg_options=args.cfg_options,
            trust_checkpoint=args.trust_checkpoint,
            amp=args.amp,
            compile=args.compile,
        )
        return TorchVideoModel(model)

    predict_from_arguments(args, load, [args.checkpoint, str(find_config(args.config))])


if __name__ == '__main__':
    run_tool(main)
