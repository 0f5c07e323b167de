"""Check a data set in YouTube-VIS or COCO layout: print every fault with its entry, and a summary.

An image of COCO counts as a video of one frame. Without ROOT the images are not checked. The exit
code is 1 if there are faults.

Examples:
    tevit-vis data check train.json train/JPEGImages
    tevit-vis data check train.json train/JPEGImages --headers-only
    tevit-vis data check train.json --fix mended.json
"""

from __future__ import annotations

import argparse
import os

from tevit_vis.annotations import read_annotation_file
from tevit_vis.utils.console import ProgressBar
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.json_files import write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('annotations', metavar='ANN.json', help='annotation file')
    parser.add_argument(
        'root', nargs='?', metavar='ROOT', help='image folder, to which file_names are relative'
    )
    parser.add_argument(
        '--headers-only',
        action='store_true',
        help='do not decode images: faster, but a damaged one passes',
    )
    parser.add_argument(
        '--fix',
        metavar='OUT.json',
        help='write a file without the faults that can be mended safely, and list the changes',
    )
    parser.add_argument(
        '--shown', type=int, default=50, help='faults, and warnings, that are printed (default: 50)'
    )


def print_lines(kind: str, lines: list, max_shown: int) -> None:
    for line in lines[:max_shown]:
        print(f'{kind}: {line}')
    if len(lines) > max_shown:
        print(f'{kind}: ... and {len(lines) - max_shown} more (--shown {len(lines)})')


def write_fixed(content: dict, args: argparse.Namespace) -> None:
    """Writes the mended file, and lists what was changed and what is still wrong."""
    from tevit_vis.data_tools.checks import DatasetCheck
    from tevit_vis.data_tools.fixes import fix_data_set

    fixed, log = fix_data_set(content, args.annotations)
    write_json(fixed, args.fix)
    print(*log.lines(), sep='\n', end='\n' if log.entries else '')
    print(f'{args.fix}: {len(fixed["videos"])} videos, {len(fixed["annotations"])} tracks')
    left = DatasetCheck(fixed, args.fix, args.root, headers_only=args.headers_only)
    print_lines('fault', left.faults, args.shown)
    if left.faults:
        raise InputError(f'{args.fix}: {len(left.faults)} faults are left')


def run(args: argparse.Namespace) -> None:
    from tevit_vis.annotated_images import images_as_videos
    from tevit_vis.data_tools.checks import DatasetCheck

    if args.root and not os.path.isdir(args.root):
        raise InputError(f'{args.root}: image folder must be there, but it is not')
    if args.fix:
        check_writable(args.fix, not_over=[args.annotations])
    content = read_annotation_file(args.annotations)
    if 'images' in content and 'videos' not in content:
        content = images_as_videos(content, args.annotations)
    videos = content.get('videos')
    total = len(videos) if isinstance(videos, list) else 0
    with ProgressBar(total=total, unit='video', desc='check', disable=not args.root) as bar:
        check = DatasetCheck(
            content, args.annotations, args.root, bar.update, headers_only=args.headers_only
        )
    print_lines('fault', check.faults, args.shown)
    print_lines('warning', check.warnings, args.shown)
    print(check.summary())
    if args.fix:
        write_fixed(content, args)
    elif check.faults:
        raise InputError(f'{args.annotations}: {len(check.faults)} faults')
    else:
        looked = '' if args.root else '; images were not looked at, as no folder was named'
        print(f'{args.annotations}: no faults, {len(check.warnings)} warnings{looked}')
