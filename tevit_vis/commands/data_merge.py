"""Join data sets in YouTube-VIS layout into one; categories of one name become one.

Names may be joined by a table first: {"automobile": "car", "sky": null} in a JSON file; null drops
a category with its tracks.

Examples:
    tevit-vis data merge a.json b.json --folders a/frames b/frames --out both.json
    tevit-vis data merge a.json b.json --table names.json --out both.json
"""

from __future__ import annotations

import argparse

from tevit_vis.data_tools.editing import check_table, merge, remap
from tevit_vis.formats import ReadOptions, find_format
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.json_files import read_json, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('annotations', metavar='ANN.json', nargs='+', help='annotation files')
    parser.add_argument('--out', required=True, help='file to write')
    parser.add_argument(
        '--folders', nargs='+', help='one per file: put before the names of its frames'
    )
    parser.add_argument('--table', metavar='FILE.json', help='new names of categories')


def run(args: argparse.Namespace) -> None:
    folders = args.folders or [''] * len(args.annotations)
    if len(folders) != len(args.annotations):
        raise InputError(
            f'--folders: must be one per file, {len(args.annotations)}, but got {len(folders)}'
        )
    check_writable(args.out, not_over=args.annotations)
    table = check_table(read_json(args.table, 'table'), args.table) if args.table else {}
    options = ReadOptions()
    contents = []
    for path in args.annotations:
        content = find_format('ytvis').read(path, options)
        names = {entry['name'] for entry in content['categories']}
        content, dropped = remap(content, {k: v for k, v in table.items() if k in names})
        contents.append(content)
        print(f'{path}: {len(content["videos"])} videos, {len(content["annotations"])} tracks')
        for name, count in dropped.items():
            print(f'dropped: {count} tracks of {name}')
    merged = merge(contents, folders)
    write_json(merged, args.out)
    print(*options.log.lines(), sep='\n', end='\n' if options.log.entries else '')
    print(
        f'{args.out}: {len(merged["videos"])} videos, {len(merged["annotations"])} tracks, '
        f'{len(merged["categories"])} categories'
    )
