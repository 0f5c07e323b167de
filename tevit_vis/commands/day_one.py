"""Find, mask and follow the objects of your own videos, with COCO weights and no training.

Mask2Former with the weights of mmdet's zoo (80 classes of COCO, Apache-2.0) finds objects in each
frame, and their embeddings link them to tracks. The weights are fetched once, or named with
--weights. For each VIDEO, OUT gets NAME.mp4, the drawn video; NAME.jsonl, a line per frame with
tracks, classes, scores, boxes and RLE masks; and NAME_masks/, an index image per frame.

Examples:
    tevit-vis day-one holiday.mp4
    tevit-vis day-one "clips/*.mp4" --classes person,dog --out found/
    tevit-vis day-one street.mp4 --weights mask2former_r50.pth --short-side 720 --device cuda
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tevit_vis.inference_config import InferenceConfig
from tevit_vis.outputs.predict_all import check_outputs, file_stems, predict_all
from tevit_vis.outputs.selection import DRAWN_OVERLAP
from tevit_vis.utils.cli import add_selection_arguments, add_trust_argument, positive
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_fraction
from tevit_vis.video import expand_inputs, open_source

DEFAULT_CONFIG = 'mask2former/mask2former_r50_coco'


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
    add_selection_arguments(parser, max_overlap=DRAWN_OVERLAP)
    add_trust_argument(parser)


def run(args: argparse.Namespace) -> None:
    from tevit_vis.apis import Outputs, Selection, TorchVideoModel, init_model
    from tevit_vis.apis.choice import set_short_side
    from tevit_vis.utils.config import find_config, load_config

    check_fraction('--score-thr', args.score_thr)
    selection = Selection(args.classes, args.max_overlap)
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
    set_short_side(config, args.short_side, args.config)
    if InferenceConfig.of(config.model.get('test_cfg')).windows is None:
        raise InputError(
            f'--config: {args.config} must have windows (model.test_cfg.windows), but takes a '
            f'video at once; {DEFAULT_CONFIG} has them'
        )
    first = open_source(names[0]) if len(names) == 1 else None
    model = init_model(config, args.weights, args.device, trust_checkpoint=args.trust_checkpoint)
    video_model = TorchVideoModel(model)
    predict_all(video_model, names, outputs, selection, args.max_frames, first=first)
