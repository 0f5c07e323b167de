"""Find the instances of a video and draw them into a copy of it.

    python tools/video_demo.py CONFIG CHECKPOINT INPUT --out out.mp4 [--json out.json]

INPUT is a video file or a folder of images.
"""

import argparse

from mmcv import DictAction
from tqdm import tqdm

from tevit_vis.apis import inference_video, init_model
from tevit_vis.evaluation.submission import instances_to_json, write_json
from tevit_vis.utils.errors import InputError, run_tool
from tevit_vis.video_io import open_source
from tevit_vis.visualization.video import draw_video


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file, or its name below configs/')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('input', help='video file, or folder of images')
    parser.add_argument('--out', default='out.mp4', help='video to write (default: %(default)s)')
    parser.add_argument('--json', help='also write labels, scores, boxes and masks here')
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='least score drawn (default: %(default)s)'
    )
    parser.add_argument('--fps', type=float, help="frames per second (default: the video's, or 10)")
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: a GPU if there is one)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE'
    )
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a checkpoint that holds Python objects; it may run code of whoever wrote it',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.fps is not None and args.fps <= 0:
        raise InputError(f'--fps: must be above 0, but got {args.fps}')
    source = open_source(args.input)
    model = init_model(
        args.config,
        args.checkpoint,
        args.device,
        cfg_options=args.cfg_options,
        trust_checkpoint=args.trust_checkpoint,
    )
    with tqdm(total=source.num_frames, unit='frame', desc='read') as bar:
        instances = inference_video(model, source, on_frame=bar.update)
    if args.json:
        write_json(instances_to_json(instances, model.CLASSES), args.json)
        print(f'{args.json}: {len(instances)} instances')
    kept = instances.above(args.score_thr)
    with tqdm(total=instances.num_frames, unit='frame', desc='draw') as bar:
        draw_video(source, kept, model.CLASSES, args.out, fps=args.fps, on_frame=bar.update)
    print(f'{args.out}: {len(kept)} of {len(instances)} instances score {args.score_thr} or more')


if __name__ == '__main__':
    run_tool(main)
