"""Set a share of a data set's videos aside, with a fair share of every category.

python tools/data/split.py ANN.json --share 0.1 --out train.json val.json
"""

import argparse

from tevit_vis.datasets.split import split_videos
from tevit_vis.datasets.videos import parse_videos, read_annotation_file
from tevit_vis.utils.cli import tool_parser
from tevit_vis.utils.errors import run_tool
from tevit_vis.utils.files import check_writable, write_json


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('annotations', metavar='ANN.json')
    parser.add_argument('--share', type=float, default=0.1, help='of videos (default: 0.1)')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    parser.add_argument(
        '--out', nargs=2, required=True, metavar=('REST', 'ASIDE'), help='the two files'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    for path in args.out:
        check_writable(path)
    content = read_annotation_file(args.annotations)
    parse_videos(content, args.annotations)
    for path, part in zip(args.out, split_videos(content, args.share, args.seed)):
        write_json(part, path)
        print(f'{path}: {len(part["videos"])} videos, {len(part["annotations"])} instances')


if __name__ == '__main__':
    run_tool(main)
