"""Rename, join and drop categories of a data set in YouTube-VIS layout.

The table is a JSON file {"old name": "new name"}; null drops a category with its tracks.

Examples:
    tevit-vis data remap train.json --table names.json --out renamed.json
"""

from __future__ import annotations

import argparse

from tevit_vis.data_tools.editing import check_table, remap
from tevit_vis.formats import ReadOptions, find_format
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.json_files import read_json, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('annotations', metavar='ANN.json', help='annotation file')
    parser.add_argument('--table', metavar='FILE.json', required=True, help='new names')
    parser.add_argument('--out', required=True, help='file to write')


def run(args: argparse.Namespace) -> None:
    check_writable(args.out, not_over=[args.annotations, args.table])
    table = check_table(read_json(args.table, 'table'), args.table)
    content = find_format('ytvis').read(args.annotations, ReadOptions())
    renamed, dropped = remap(content, table)
    write_json(renamed, args.out)
    for name, count in dropped.items():
        print(f'dropped: {count} tracks of {name}')
    print(
        f'{args.out}: {len(renamed["annotations"])} tracks, {len(renamed["categories"])} categories'
    )
