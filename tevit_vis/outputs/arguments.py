"""Command-line arguments that name the files of results in other forms."""

from __future__ import annotations

import argparse

from tevit_vis.visualization.mask_files import MASK_FORMS

SUFFIXES = {'csv': '.csv', 'counts': '.csv', 'mot': '.txt', 'mots': '.txt', 'cvat': '.xml'}
FORMS = {
    'masks': 'a PNG per frame, see --mask-form',
    'csv': 'a line per track and frame: time, class, score, box, area, centre (CSV)',
    'counts': 'tracks of each class per frame (CSV)',
    'mot': 'boxes as MOTChallenge text',
    'mots': 'masks as MOTS text',
    'cvat': 'tracks to be corrected in CVAT (XML, for video 1.1)',
    'crops': 'what is inside of each mask, TRACK_CLASS/FRAME.png',
}


def add_form_arguments(parser: argparse.ArgumentParser, per_video: bool) -> None:
    """Adds ``--masks``, ``--mask-form``, ``--csv`` and what else ``FORMS`` has.

    Args:
        parser: of the tool.
        per_video: whether each names a folder, in which every video has a file or folder.
    """
    for kind, what in FORMS.items():
        is_folder = per_video or kind not in SUFFIXES
        kept = 'new folder' if kind == 'crops' else 'folder' if is_folder else 'file'
        parser.add_argument(
            f'--{kind}',
            metavar='DIR' if is_folder else 'FILE',
            help=f'{kept} to write{", for each video" if per_video else ""}: {what}',
        )
    parser.add_argument(
        '--mask-form',
        choices=list(MASK_FORMS),
        default='index',
        help='index: pixels are the track number plus 1, 0 for background; per-object: a folder '
        'per track; rgba: transparent, in the colours of tracks; mots: 16 bits, class * 1000 + '
        'track (default: %(default)s)',
    )
