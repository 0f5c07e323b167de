"""Find, mask and follow the objects of your own videos, with COCO weights and no training.

Mask2Former with the weights of mmdet's zoo (80 classes of COCO, Apache-2.0) finds objects in each
frame, and their embeddings link them to tracks. The weights are fetched once, or named with
--weights. For each VIDEO, OUT gets NAME.mp4, the drawn video; NAME.jsonl, a line per frame with
tracks, classes, scores, boxes and RLE masks; and NAME_masks/, an index image per frame.

Examples:
    python tools/day_one.py holiday.mp4
    python tools/day_one.py "clips/*.mp4" --classes person,dog --out found/
    python tools/day_one.py street.mp4 --weights mask2former_r50.pth --short-side 720 --device cuda
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tevit_vis.apis import Outputs, Selection, TorchVideoModel, init_model
from tevit_vis.inference_config import InferenceConfig
from tevit_vis.outputs.predict_all import check_outputs, file_stems, predict_all
from tevit_vis.utils.cli import (
    add_selection_arguments,
    add_trust_argument,
    positive,
    run_tool,
    tool_parser,
)
from tevit_vis.utils.config import find_config, load_config
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_fraction
from tevit_vis.video import expand_inputs, open_source

DEFAULT_CONFIG = 'mask2former/mask2former_r50_coco'
LARGEST_SIDE = 2160  # of --short-side; more than the memory of most machines
LONG_SIDE = 2.0  # most that the long side of the network's input is, in short sides


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('videos', nargs='+', metavar='VIDEO', help='video file, folder or pattern')
    parser.add_argument(
        '--config', default=DEFAULT_CONFIG, help='config of the model (default: %(default)s)'
    )
    parser.add_argument(
        '--weights', default='zoo', help='checkpoint (default: that of the zoo for the config)'
    )
    parser.add_argument(
        '--out', type=Path, default='outputs/day_one', help='folder to write (default: %(default)s)'
    )
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: a GPU if there is one)')
    parser.add_argument(
        '--short-side',
        type=positive,
        default=480,
        help='pixels of the short side of what the model sees: larger finds smaller objects and '
        'takes longer (default: %(default)s)',
    )
    parser.add_argument('--max-frames', type=positive, help='stop after this number of frames')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help='least score of the tracks that are drawn and masked (default: %(default)s)',
    )
    add_selection_arguments(parser, max_overlap=0.7)
    add_trust_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_fraction('--score-thr', args.score_thr)
    selection = Selection(args.classes, args.max_overlap)
    if not 32 <= args.short_side <= LARGEST_SIDE:
        raise InputError(
            f'--short-side: must be from 32 to {LARGEST_SIDE} pixels, but is {args.short_side}'
        )
    names = expand_inputs(args.videos)
    outputs = [
        Outputs(
            video=f'{base}.mp4',
            jsonl=f'{base}.jsonl',
            masks=f'{base}_masks',
            score_thr=args.score_thr,
        )
        for base in (args.out / stem for stem in file_stems(names))
    ]
    check_outputs(outputs, [*map(str, names), args.weights, str(find_config(args.config))])
    config = load_config(args.config)
    config.data.test.pipeline = with_short_side(config.data.test.pipeline, args)
    if InferenceConfig.of(config.model.get('test_cfg')).windows is None:
        raise InputError(
            f'--config: {args.config} must have windows (model.test_cfg.windows), but takes a '
            f'video at once; {DEFAULT_CONFIG} has them'
        )
    first = open_source(names[0]) if len(names) == 1 else None
    model = init_model(config, args.weights, args.device, trust_checkpoint=args.trust_checkpoint)
    video_model = TorchVideoModel(model)
    predict_all(video_model, names, outputs, selection, args.max_frames, first=first)


def with_short_side(pipeline: Sequence[dict], args: argparse.Namespace) -> list[dict]:
    """Returns a pipeline whose frames have --short-side."""
    steps = [dict(step) for step in pipeline]
    resize = next((step for step in steps if step['type'] == 'Resize'), None)
    if resize is None:
        raise InputError(
            f"--config: {args.config} must resize frames with mmdet's Resize, but does not; "
            f'{DEFAULT_CONFIG} does'
        )
    resize['img_scale'] = (round(args.short_side * LONG_SIDE), args.short_side)
    return steps


if __name__ == '__main__':
    run_tool(main)
