"""Check a submission before it is uploaded, or pack it.

"check" lists the faults, each with its entry. "zip" checks, too, then writes the archive that the
evaluation servers take, with results.json at its top.

Examples:
    tevit-vis submission check results.json --json valid.json
    tevit-vis submission zip results.json --json valid.json --out submission.zip
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

from tevit_vis.annotations import read_annotation_file
from tevit_vis.evaluation.submission import read_results, submission_faults, submission_summary
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable, write_atomically

MAX_SHOWN = 20  # faults that are printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('action', choices=['check', 'zip'], help='what to do')
    parser.add_argument('results', metavar='RESULTS.json', help='submission')
    parser.add_argument(
        '--json', required=True, metavar='ANN.json', help='annotation file of the videos'
    )
    parser.add_argument('--out', help='archive to write with zip (default: RESULTS.zip)')


def run(args: argparse.Namespace) -> None:
    results, content = read_results(args.results), read_annotation_file(args.json)
    faults = submission_faults(results, content, args.results)
    for fault in faults[:MAX_SHOWN]:
        print(fault)
    if faults:
        more = f' ({len(faults) - MAX_SHOWN} more)' if len(faults) > MAX_SHOWN else ''
        raise InputError(f'{args.results}: {len(faults)} faults{more}')
    print(submission_summary(results, content))
    if args.action == 'zip':
        out = args.out or str(Path(args.results).with_suffix('.zip'))
        check_writable(out, not_over=[args.results, args.json])

        def write(unfinished: str) -> None:
            with zipfile.ZipFile(unfinished, 'w', zipfile.ZIP_DEFLATED) as archive:
                archive.write(args.results, 'results.json')

        write_atomically(out, write)
        print(f'{out}: ready to upload')
