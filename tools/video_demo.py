"""Find the instances of a video and draw them into a copy of it.

    python tools/video_demo.py CONFIG CHECKPOINT INPUT --out out.mp4 [--json out.json]

INPUT is a video file or a folder of images.
"""

import argparse

from tqdm import tqdm

from tevit_vis.apis import inference_video, init_model
from tevit_vis.evaluation.submission import instances_to_json
from tevit_vis.utils.cli import add_model_arguments, tool_parser
from tevit_vis.utils.errors import InputError, run_tool
from tevit_vis.utils.files import check_writable, write_json
from tevit_vis.video_io import open_source
from tevit_vis.visualization.video import draw_video


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    add_model_arguments(parser)
    parser.add_argument('input', help='video file, or folder of images')
    parser.add_argument('--out', default='out.mp4', help='video to write (default: %(default)s)')
    parser.add_argument(
        '--json',
        help='also write categories, scores, boxes (x1 y1 x2 y2 in pixels, as predicted: they may '
        'reach beyond the frame) and RLE masks here',
    )
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='least score drawn (default: %(default)s)'
    )
    parser.add_argument('--fps', type=float, help="frames per second (default: the video's, or 10)")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.fps is not None and args.fps <= 0:
        raise InputError(f'--fps: must be above 0, but got {args.fps}')
    source = open_source(args.input)
    for path in filter(None, (args.out, args.json)):
        check_writable(path, not_over=[args.input])
    model = init_model(
        args.config,
        args.checkpoint,
        args.device,
        cfg_options=args.cfg_options,
        trust_checkpoint=args.trust_checkpoint,
    )
    with tqdm(total=source.num_frames, unit='frame', desc='read') as bar:
        instances = inference_video(model, source, on_frame=bar.update)
    print(f'{instances.num_frames} frames, {len(instances)} instances')
    if args.json:
        write_json(instances_to_json(instances, model.CLASSES), args.json)
        print(args.json)
    kept = instances.above(args.score_thr)
    with tqdm(total=instances.num_frames, unit='frame', desc='draw') as bar:
        draw_video(source, kept, model.CLASSES, args.out, fps=args.fps, on_frame=bar.update)
    print(f'{args.out}: {len(kept)} of {len(instances)} instances score {args.score_thr} or more')


if __name__ == '__main__':
    run_tool(main)
