"""Show why a submission scores what it does: pages that open from the disk, without a server.

DIR/index.html says what costs most, in words and numbers; other pages show classes, slices of the
ground truth, all videos (worst first) and a player of each: predictions beside ground truth, a
timeline of every track, a jump from error to error. Several submissions are compared with the
first. Without annotations in the file, the predictions are shown alone. DIR/report.json has every
number.

Examples:
    tevit-vis report valid.json results.json --frames data/ytvis/valid --out report
    tevit-vis report valid.json before.json after.json --frames data/valid --out compared
    tevit-vis report valid.json results.json --out paper --plots --latex
"""

from __future__ import annotations

import argparse
import os

from tevit_vis.annotations import read_annotation_file
from tevit_vis.evaluation.analysis import MIN_SCORE
from tevit_vis.evaluation.submission import read_results
from tevit_vis.evaluation.tables import percent
from tevit_vis.utils.cli import positive
from tevit_vis.utils.console import ProgressBar
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_fraction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from tevit_vis.report import ReportOptions

    parser.add_argument(
        'gt', metavar='GT.json', help='annotation file; without annotations, nothing is scored'
    )
    parser.add_argument(
        'results', metavar='RESULTS.json', nargs='+', help='submissions, .json or .zip'
    )
    parser.add_argument('--frames', metavar='ROOT', help='image folder (default: no pictures)')
    parser.add_argument('--out', metavar='DIR', required=True, help='folder to write')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the report that is in --out'
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=MIN_SCORE,
        help='least score of the predictions that count in tracking scores and confusions, and '
        'that the player shows at first (default: %(default)s)',
    )
    parser.add_argument(
        '--most-pictures',
        type=positive,
        default=ReportOptions.most_pictures,
        help='videos that get pictures, the worst ones (default: %(default)s)',
    )
    parser.add_argument(
        '--frame-width',
        type=positive,
        default=ReportOptions.frame_width,
        help='width of pictures in pixels, at most (default: %(default)s)',
    )
    parser.add_argument('--plots', action='store_true', help='also figures: plots/*.png, *.svg')
    parser.add_argument('--latex', action='store_true', help='also tables.tex')
    parser.add_argument('--markdown', action='store_true', help='also tables.md')


def run(args: argparse.Namespace) -> None:
    from tevit_vis.report import DataSet, ReportOptions, read_run, short_names, write_report
    from tevit_vis.report.site import check_report_folder

    check_fraction('--score-thr', args.score_thr)
    frames = [] if args.frames is None else [args.frames]
    check_report_folder(args.out, args.overwrite, [args.gt, *args.results, *frames])
    if args.frames is not None and not os.path.isdir(args.frames):
        raise InputError(f'--frames {args.frames}: image folder must be there, but it is not')
    data_set = DataSet.parse(read_annotation_file(args.gt), args.gt)
    for name in ('plots', 'latex', 'markdown'):
        if getattr(args, name) and data_set.ground_truth is None:
            raise InputError(f'--{name}: needs annotations in {args.gt}, but there are none')
    runs = [
        read_run(data_set, read_results(path), path, name, args.score_thr)
        for path, name in zip(args.results, short_names(args.results))
    ]
    options = ReportOptions(
        frames_root=args.frames,
        most_pictures=args.most_pictures,
        frame_width=args.frame_width,
        plots=args.plots,
        latex=args.latex,
        markdown=args.markdown,
        overwrite=args.overwrite,
    )
    with ProgressBar(total=len(data_set.videos), unit='video', desc='report') as bar:
        notes = write_report(data_set, runs, args.out, options, bar.update)
    for run in runs:
        if run.analysis is not None:
            print(f'{run.name}: AP {percent(run.analysis.evaluation.stats["AP"])}')
            print(*run.analysis.sentences(), sep='\n')
    print(*notes, f'open {args.out}/index.html', sep='\n')
