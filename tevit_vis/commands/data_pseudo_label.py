"""Label videos with a model: sure tracks become annotations, unsure ones regions to be ignored.

The data set is one that training takes as it is. Frames of videos that do not lie in --frames are
cut out into it. Look at the labels before you train on them: tevit-vis convert --to cvat, or
tevit-vis data browse.

Examples:
    tevit-vis data pseudo-label tevit/tevit_msgshift zoo clips/*.mp4 --out new.json --frames f
    tevit-vis data pseudo-label CONFIG CHECKPOINT f/walk --out new.json --frames f --sure 0.8
"""

from __future__ import annotations

import argparse

from tevit_vis.outputs.predict_all import file_stems
from tevit_vis.outputs.selection import DRAWN_OVERLAP
from tevit_vis.utils.cli import add_model_arguments, add_selection_arguments
from tevit_vis.utils.console import ProgressBar
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.json_files import write_json
from tevit_vis.video import expand_inputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument(
        'inputs', nargs='+', metavar='VIDEO', help='video file, folder of images, or pattern'
    )
    parser.add_argument('--out', required=True, help='annotation file to write')
    parser.add_argument(
        '--frames', metavar='ROOT', required=True, help='folder of the frames of all videos'
    )
    parser.add_argument(
        '--sure',
        type=float,
        default=0.6,
        help='least score of a track that becomes an annotation (default: %(default)s)',
    )
    parser.add_argument(
        '--unsure',
        type=float,
        default=0.2,
        help='least score of a track that becomes a region to be ignored (default: %(default)s)',
    )
    add_selection_arguments(parser, max_overlap=DRAWN_OVERLAP)


def run(args: argparse.Namespace) -> None:
    from tevit_vis.apis import Selection, init_model
    from tevit_vis.data_tools.pseudo_labels import PseudoLabels, Thresholds, label_video

    thresholds = Thresholds(args.sure, args.unsure)
    selection = Selection(args.classes, args.max_overlap)
    videos = expand_inputs(args.inputs)
    for video in videos:
        if isinstance(video, int) or '://' in video:
            raise InputError(f'{video}: must be a file or folder, as its frames are read twice')
    check_writable(args.out, not_over=[args.checkpoint, *map(str, videos)])
    model = init_model(
        args.config,
        args.checkpoint,
        args.device,
        cfg_options=args.cfg_options,
        trust_checkpoint=args.trust_checkpoint,
        amp=args.amp,
        compile=args.compile,
    )
    selection.check(model.CLASSES)
    labels = PseudoLabels(model.CLASSES, thresholds)
    for video, name in zip(videos, file_stems(videos)):
        with ProgressBar(unit='frame', desc=name) as bar:
            counts = label_video(
                model, str(video), name, args.frames, labels, selection, bar.update
            )
        print(f'{video}: {counts[0]} tracks, {counts[1]} regions to be ignored')
    write_json(labels.content(), args.out)
    print(*labels.log.lines(), args.out, sep='\n')
