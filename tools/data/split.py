"""Set a share of a data set's videos aside, with a fair share of every category.

python tools/data/split.py ANN.json --share 0.1 --out train.json val.json
"""

import argparse

from tevit_vis.annotated_videos import file_categories, parse_videos
from tevit_vis.annotations import annotation_entries, check_annotation, read_annotation_file
from tevit_vis.data_tools.split import split_videos
from tevit_vis.utils.cli import run_tool, seed_number, tool_parser
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.json_files import write_json_set


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('annotations', metavar='ANN.json')
    parser.add_argument('--share', type=float, default=0.1, help='of videos (default: 0.1)')
    parser.add_argument('--seed', type=seed_number, default=0, help='default: %(default)s')
    parser.add_argument(
        '--out', nargs=2, required=True, metavar=('REST', 'ASIDE'), help='the two files'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    for path in args.out:
        check_writable(path, not_over=[args.annotations])
    check_writable(args.out[0], not_over=args.out[1:])
    content = read_annotation_file(args.annotations)
    videos = {video.id for video in parse_videos(content, args.annotations)}
    categories = file_categories(content, args.annotations)
    seen: set = set()
    for index, entry in enumerate(annotation_entries(content, args.annotations)):
        where = f'{args.annotations}: annotations[{index}]'
        check_annotation(entry, where, videos, categories, seen)
    parts = dict(zip(args.out, split_videos(content, args.share, args.seed)))
    write_json_set(parts)
    for path, part in parts.items():
        print(f'{path}: {len(part["videos"])} videos, {len(part["annotations"])} instances')


if __name__ == '__main__':
    run_tool(main)
