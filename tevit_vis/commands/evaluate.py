"""Score a submission with the YouTube-VIS metric; numbers equal the official evaluator's.

Warnings name results that do not count, and mistakes that explain a low score, such as category
ids off by one. Where the ground truth has occlusion levels (OVIS), the scores of each group of
levels are printed as well. --analysis also says what is wrong: kinds of errors and what they cost,
tracking (HOTA, IDF1, identity switches), scores by size, length, speed and more. Several
submissions are shown side by side. docs/evaluation.md says what is counted.

Examples:
    tevit-vis evaluate valid.json results.json --classwise
    tevit-vis evaluate valid.json results.zip --analysis --per-video --out report.json
    tevit-vis evaluate valid.json before.json after.json
"""

from __future__ import annotations

import argparse
import sys

from tevit_vis.annotated_videos import parse_videos
from tevit_vis.annotations import read_annotation_file
from tevit_vis.evaluation.analysis import MIN_SCORE, analyse
from tevit_vis.evaluation.explain import explain_score
from tevit_vis.evaluation.submission import read_results
from tevit_vis.evaluation.tables import analysis_tables, comparison_table, video_table
from tevit_vis.evaluation.tubes import parse_ground_truth
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.json_files import write_json
from tevit_vis.utils.values import check_fraction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('gt', metavar='GT.json', help='annotation file with the ground truth')
    parser.add_argument(
        'results', metavar='RESULTS.json', nargs='+', help='submissions, .json or .zip'
    )
    parser.add_argument(
        '--classwise', action='store_true', help='also print the scores of each category'
    )
    parser.add_argument(
        '--analysis', action='store_true', help='also print what is wrong, and what it costs'
    )
    parser.add_argument(
        '--per-video', action='store_true', help='also print the scores of each video, worst first'
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=MIN_SCORE,
        help='least score of the predictions that count in tracking scores and confusions '
        '(default: %(default)s)',
    )
    parser.add_argument(
        '--out',
        help='write all numbers to this JSON file; of several submissions, by their names',
    )


def run(args: argparse.Namespace) -> None:
    check_fraction('--score-thr', args.score_thr)
    if args.out:
        check_writable(args.out, not_over=[args.gt, *args.results])
    content = read_annotation_file(args.gt)
    ground_truth = parse_ground_truth(content, args.gt)
    analyses = {}
    for path in args.results:
        results = read_results(path)
        analyses[path] = analyse(ground_truth, results, path, args.score_thr)
        for line in explain_score(content, results, analyses[path].evaluation, path):
            print(f'warning: {line}', file=sys.stderr)
    names = {video.id: video.name for video in parse_videos(content, args.gt)}
    for path, analysis in analyses.items():
        tables = [
            *([analysis.evaluation.category_table()] if args.classwise else []),
            *([video_table(analysis, names)] if args.per_video else []),
            *([analysis_tables(analysis)] if args.analysis else []),
        ]
        if tables and len(analyses) > 1:
            print(f'{path}:')
        print(*tables, sep='\n', end='\n' if tables else '')
    if len(analyses) > 1:
        print(comparison_table(analyses))
    else:
        print(analysis.evaluation)
    if args.out:
        reports = {path: analysis.report() for path, analysis in analyses.items()}
        write_json(reports if len(reports) > 1 else reports[path], args.out)
