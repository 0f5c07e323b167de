"""Find the instances of a video and draw them into a copy of it.

    python tools/video_demo.py CONFIG CHECKPOINT INPUT --out out.mp4 [--json out.json]

INPUT is a video file, a folder of images, the URL of a stream or the number of a camera. With
windows (--window, or of the config) frames are drawn and written while they come, in memory that
does not grow with the video; Ctrl-C ends it, and keeps what was drawn.
"""

import argparse
import math
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tevit_vis.apis import inference_video, init_model, stream_video
from tevit_vis.evaluation.submission import frame_to_json, instances_to_json
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.structures import FrameInstances
from tevit_vis.tracking import windows_of
from tevit_vis.utils.cli import add_model_arguments, positive, run_tool, tool_parser
from tevit_vis.utils.config import find_config
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.json_files import json_text, write_json
from tevit_vis.video_io import FrameSource, open_source, public_url
from tevit_vis.visualization.video import draw_stream, draw_video

LIVE_WINDOW = 10  # frames, for cameras and live streams where the config has no windows


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    add_model_arguments(parser)
    parser.add_argument('input', help='video file, folder of images, URL, or camera number')
    parser.add_argument('--out', default='out.mp4', help='video to write (default: %(default)s)')
    parser.add_argument(
        '--window',
        type=positive,
        help='frames that the model sees at a time (default: of the config; '
        f'{LIVE_WINDOW} for a camera or live stream where that has the whole video)',
    )
    parser.add_argument('--stride', type=positive, help='of windows (default: of the config)')
    parser.add_argument('--max-frames', type=positive, help='end after so many, with windows')
    parser.add_argument(
        '--json',
        help='also write categories, scores, boxes (x1 y1 x2 y2 in pixels, as predicted: they may '
        'reach beyond the frame) and RLE masks here; then the video is drawn when all is known',
    )
    parser.add_argument(
        '--jsonl',
        help='with windows: also write a line for each frame here, as it comes: frame, and of each '
        'track that scores windows.min_score its number, category, score so far, box and RLE mask',
    )
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='least score drawn (default: %(default)s)'
    )
    parser.add_argument('--fps', type=float, help="frames per second (default: the video's, or 10)")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.fps is not None and not (math.isfinite(args.fps) and args.fps > 0):
        raise InputError(f'--fps: must be above 0, but got {args.fps}')
    is_camera = args.input.isdigit() and not Path(args.input).exists()
    source = open_source(int(args.input) if is_camera else args.input)
    outputs = [path for path in (args.out, args.json, args.jsonl) if path]
    inputs = [args.input, args.checkpoint, str(find_config(args.config))]
    for number, path in enumerate(outputs):
        check_writable(path, not_over=[*inputs, *outputs[:number]])
    model = init_model(
        args.config,
        args.checkpoint,
        args.device,
        cfg_options=args.cfg_options,
        trust_checkpoint=args.trust_checkpoint,
        amp=args.amp,
        compile=args.compile,
    )
    set_windows(model, args, source)
    if windows_of(model.test_cfg) and not args.json:
        demo_stream(model, source, args)
    else:
        demo_whole(model, source, args)


def set_windows(model: ClipDetector, args: argparse.Namespace, source: FrameSource) -> None:
    """The windows that were asked for, or that a source without end needs."""
    windows = model.test_cfg.get('windows')
    if windows is None and (args.window or args.stride or source.live):
        raise InputError(f'{args.config}: must have model.test_cfg.windows for that, but has none')
    if args.window:
        windows.length = args.window
        windows.stride = max(1, min(windows.stride, args.window - 1))  # or no track would go on
    elif source.live and windows.length is None:
        windows.length = LIVE_WINDOW
    if args.stride:
        windows.stride = args.stride
    if args.json and source.live:
        raise InputError(
            f'--json: {public_url(args.input)} must have an end, but may have none: use --jsonl'
        )
    for option in ('jsonl', 'max_frames'):
        if getattr(args, option) and (args.json or not windows_of(model.test_cfg)):
            name = option.replace('_', '-')
            raise InputError(f'--{name}: needs windows (--window 10), and no --json beside it')


def demo_stream(model: ClipDetector, source: FrameSource, args: argparse.Namespace) -> None:
    """Draw frames as they come."""
    windows = windows_of(model.test_cfg)
    print(
        f'windows of {windows.length} frames at stride {windows.stride}: a frame is drawn when up '
        f'to {windows.length + windows.stride - 1} more were read'
    )
    with ExitStack() as stack:
        lines = stack.enter_context(open(args.jsonl, 'w', encoding='utf-8')) if args.jsonl else None
        bar = stack.enter_context(tqdm(total=source.num_frames, unit='frame', desc='draw'))

        def watched() -> Iterator[tuple[np.ndarray, FrameInstances]]:
            for image, found in islice(stream_video(model, source), args.max_frames):
                if lines:
                    line = frame_to_json(found, model.CLASSES, windows.min_score)
                    lines.write(json_text(line, args.jsonl) + '\n')
                    lines.flush()
                yield image, found
                bar.update()

        count = draw_stream(
            watched(), model.CLASSES, args.out, args.fps or source.fps, args.score_thr
        )
    if args.jsonl:
        print(args.jsonl)
    print(f'{args.out}: {count} frames')


def demo_whole(model: ClipDetector, source: FrameSource, args: argparse.Namespace) -> None:
    """Find the instances of the whole video, then draw it."""
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
