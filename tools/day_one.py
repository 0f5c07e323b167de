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
from pathlib import Path

from tqdm import tqdm

from tevit_vis.apis import Outputs, Selection, init_model, predict_to_files
from tevit_vis.utils.cli import add_selection_arguments, positive, run_tool, tool_parser
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.values import check_fraction
from tevit_vis.video import expand_inputs, open_source
from tevit_vis.video.source import FirstFrames

DEFAULT_CONFIG = 'mask2former/mask2former_r50_coco'
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
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_fraction('--score-thr', args.score_thr)
    names = expand_inputs(args.videos)
    stems = [Path(str(name).rstrip('/')).stem for name in names]
    doubled = {stem for stem in stems if stems.count(stem) > 1}
    if doubled:
        raise InputError(f'VIDEO: names must differ, but several are called {min(doubled)}')
    sources = [open_source(name) for name in names]
    args.out.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        check_writable(args.out / f'{stem}.mp4', not_over=[*map(str, names), args.weights])
    scale = (round(args.short_side * LONG_SIDE), args.short_side)
    model = init_model(
        args.config,
        args.weights,
        args.device,
        cfg_options={'data.test.pipeline.resize.img_scale': scale},
    )
    if model.inference_config.windows is None:
        raise InputError(f'--config: {args.config} must have windows (model.test_cfg.windows)')
    for stem, source in zip(stems, sources):
        if args.max_frames:
            source = FirstFrames(source, args.max_frames)
        base = args.out / stem
        outputs = Outputs(
            video=f'{base}.mp4', jsonl=f'{base}.jsonl', masks=f'{base}_masks',
            score_thr=args.score_thr,
        )  # fmt: skip
        selection = Selection(args.classes, args.max_overlap)
        with tqdm(total=source.num_frames, unit='frame', desc=stem) as bar:
            summary = predict_to_files(model, source, outputs, selection, on_frame=bar.update)
        print(f'{stem}: {summary}')
        for path in (outputs.video, outputs.jsonl, outputs.masks):
            print(path)


if __name__ == '__main__':
    run_tool(main)
