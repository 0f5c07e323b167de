"""Rename, join and drop categories of a data set in YouTube-VIS layout.

The table is a JSON file {"old name": "new name"}; null drops a category with its tracks.

Examples:
    python tools/data/remap.py train.json --table names.json --out renamed.json
"""

import argparse

from tevit_vis.data_tools.editing import check_table, remap
from tevit_vis.formats import ReadOptions, find_format
from tevit_vis.utils.cli import run_tool, tool_parser
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.json_files import read_json, write_json


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('annotations', metavar='ANN.json', help='annotation file')
    parser.add_argument('--table', metavar='FILE.json', required=True, help='new names')
    parser.add_argument('--out', required=True, help='file to write')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
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


if __name__ == '__main__':
    run_tool(main)
