"""Split a data set by its videos into two files, each with a fair share of every category.

Examples:
    tevit-vis data split all.json --share 0.1 --out train.json val.json
"""

from __future__ import annotations

import argparse

from tevit_vis.annotated_videos import file_categories, parse_videos
from tevit_vis.annotations import annotation_entries, check_annotation, read_annotation_file
from tevit_vis.data_tools.split import split_videos
from tevit_vis.utils.cli import seed_number
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.json_files import write_json_set


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('annotations', metavar='ANN.json', help='annotation file')
    parser.add_argument(
        '--share', type=float, default=0.1, help='part of the videos to set aside (default: 0.1)'
    )
    parser.add_argument(
        '--seed', type=seed_number, default=0, help='random seed (default: %(default)s)'
    )
    parser.add_argument(
        '--out',
        nargs=2,
        required=True,
        metavar=('REST', 'ASIDE'),
        help='files to write: of the other videos, and of those set aside',
    )


def run(args: argparse.Namespace) -> None:
    for path in args.out:
        check_writable(path, not_over=[args.annotations])
    check_writable(args.out[0], not_over=args.out[1:])
    content = read_annotation_file(args.annotations)
    video_ids = {video.id for video in parse_videos(content, args.annotations)}
    category_ids = file_categories(content, args.annotations)
    annotation_ids: set = set()  # filled by check_annotation, to find those that repeat
    for index, entry in enumerate(annotation_entries(content, args.annotations)):
        where = f'{args.annotations}: annotations[{index}]'
        check_annotation(entry, where, video_ids, category_ids, annotation_ids)
    parts = dict(zip(args.out, split_videos(content, args.share, args.seed)))
    write_json_set(parts)
    for path, part in parts.items():
        print(f'{path}: {len(part["videos"])} videos, {len(part["annotations"])} instances')
        present = {entry['category_id'] for entry in part['annotations']}
        missing = [each['name'] for each in part['categories'] if each['id'] not in present]
        if missing:
            hint = 'another --share or --seed may give it some'
            print(f'{path}: has no {", no ".join(missing)}: {hint}')
