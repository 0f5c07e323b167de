"""Convert labels between the forms in which people hold video instances.

Ends in a list of what was read, written, dropped and guessed; nothing is dropped silently. A target
with a suffix is a file, one without is a folder. Training reads ytvis (YouTube-VIS JSON).
docs/formats.md says what each format holds.

Examples:
    tevit-vis convert --from cvat walk.xml --to ytvis walk.json --frames walk/frames
    tevit-vis convert DAVIS/Annotations/480p davis.json --frames DAVIS/JPEGImages/480p
    tevit-vis convert --from ytvis valid.json --to cvat to_correct
    tevit-vis convert walk.xml walk.json --video walk.mp4 --frames walk_frames
    tevit-vis convert valid.json masks --results results.json --to sam2
    tevit-vis convert --list
"""

from __future__ import annotations

import argparse
import os

from tevit_vis.annotations import read_categories
from tevit_vis.data_tools.cut_frames import cut_frames
from tevit_vis.evaluation.submission import read_results
from tevit_vis.formats import FORMATS, ReadOptions, detect_format, find_format
from tevit_vis.utils.console import ProgressBar
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_fraction
from tevit_vis.video import open_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('source', metavar='IN', nargs='?', help='file or folder to read')
    parser.add_argument('target', metavar='OUT', nargs='?', help='file or folder to write')
    parser.add_argument(
        '--from',
        dest='source_format',
        default='auto',
        metavar='FORMAT',
        help='format of IN (default: told by what is there)',
    )
    parser.add_argument(
        '--to',
        dest='target_format',
        default='ytvis',
        metavar='FORMAT',
        help='format of OUT (default: %(default)s)',
    )
    parser.add_argument(
        '--frames', metavar='ROOT', help='folder of the frames, to which file names are relative'
    )
    parser.add_argument(
        '--video', help='video of IN, whose frames are cut out into --frames, a new folder'
    )
    parser.add_argument(
        '--categories',
        metavar='FILE.json',
        help='file with "categories", or a list of them, which are taken with their ids; other '
        'labels are dropped',
    )
    parser.add_argument(
        '--boxes-as-masks', action='store_true', help='make masks of boxes, which are dropped else'
    )
    parser.add_argument(
        '--results', metavar='RESULTS.json', help='write these predictions, not the labels of IN'
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help='least score of predictions (default: %(default)s)',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace OUT if it is there')
    parser.add_argument('--list', action='store_true', help='list the formats')


def run(args: argparse.Namespace) -> None:
    from tevit_vis.data_tools.conversion import Results, check_target, convert

    if args.list:
        for form in FORMATS.values():
            print(f'{form.name:10} {form.title}')
        return
    if args.source is None or args.target is None:
        raise InputError('IN and OUT must be given; --list lists the formats')
    if args.video and not args.frames:
        raise InputError('--video: needs --frames, the new folder for the frames')
    target_format = find_format(args.target_format)
    is_known = args.source_format != 'auto'
    source_format = find_format(args.source_format) if is_known else detect_format(args.source)
    categories = None
    if args.categories:
        categories = read_categories(args.categories)
    check_fraction('--score-thr', args.score_thr)
    results = None
    if args.results:
        results = Results(read_results(args.results), args.results, args.score_thr)
    check_target(args.target, target_format, args.overwrite, args.source)
    if args.video:
        with ProgressBar(unit='frame', desc='cut') as bar:
            cut_frames(open_source(args.video), *os.path.split(args.frames), bar.update)
    with ProgressBar(unit='video', desc='read') as bar:
        options = ReadOptions(
            frames=args.frames,
            categories=categories,
            boxes_as_masks=args.boxes_as_masks,
            on_video=bar.update,
        )
        done = convert(
            *(args.source, source_format, args.target, target_format, options, args.overwrite),
            results=results,
        )
    print(*done.lines, sep='\n')
