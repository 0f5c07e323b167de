"""Compare trainings by their logs: one page of curves and a table, mean and spread over seeds.

Work dirs of one config that differ by their seed only are taken together. The page shows scores of
validation, what each kind of error costs over training, and losses; it opens from the disk.

Examples:
    tevit-vis compare work_dirs/tevit_r50_seed0 work_dirs/tevit_r50_seed1 --out runs.html
    tevit-vis compare work_dirs/*
"""

from __future__ import annotations

import argparse
from pathlib import Path

from terminaltables import AsciiTable

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable, write_atomically


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('work_dirs', metavar='WORK_DIR', nargs='+', help='work dirs of trainings')
    parser.add_argument('--out', default='runs.html', help='page to write (default: %(default)s)')


def run(args: argparse.Namespace) -> None:
    from tevit_vis.report.training_logs import group_runs, read_training
    from tevit_vis.report.trainings import summary_rows, trainings_page

    if not args.out.endswith('.html'):
        raise InputError(f'--out: must end in .html, as it is a page, but is {args.out}')
    check_writable(args.out)
    groups = group_runs([read_training(folder) for folder in args.work_dirs])
    page = trainings_page(groups)
    write_atomically(args.out, lambda path: Path(path).write_text(page, encoding='utf-8'))
    print(AsciiTable(summary_rows(groups)).table)
    print(f'open {args.out}')
