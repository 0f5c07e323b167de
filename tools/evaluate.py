"""Score a submission with the YouTube-VIS metric; numbers equal the official evaluator's.

Warnings name results that do not count, and mistakes that explain a low score, such as category
ids off by one. Where the ground truth has occlusion levels (OVIS), the scores of each group of
levels are printed as well. docs/evaluation.md says what is counted, and where this differs from
the official evaluator.

Examples:
    python tools/evaluate.py valid.json results.json --classwise
    python tools/evaluate.py valid.json results.zip --out report.json
"""

import argparse
import sys

from tevit_vis.annotations import read_annotation_file
from tevit_vis.apis import score_submission
from tevit_vis.evaluation.explain import explain_score
from tevit_vis.evaluation.submission import read_results
from tevit_vis.utils.cli import run_tool, tool_parser
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.json_files import write_json


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('gt', metavar='GT.json', help='annotation file with the ground truth')
    parser.add_argument('results', metavar='RESULTS.json', help='submission, .json or .zip')
    parser.add_argument(
        '--classwise', action='store_true', help='also print the scores of each category'
    )
    parser.add_argument('--out', help='write all numbers to this JSON file')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.out:
        check_writable(args.out, not_over=[args.gt, args.results])
    evaluation = score_submission(args.gt, args.results)
    if args.classwise:
        print(evaluation.category_table())
    print(evaluation)
    gt, results = read_annotation_file(args.gt), read_results(args.results)
    for line in explain_score(gt, results, evaluation, args.results):
        print(f'warning: {line}', file=sys.stderr)
    if args.out:
        write_json(evaluation.report(), args.out)


if __name__ == '__main__':
    run_tool(main)
