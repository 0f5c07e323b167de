"""Print a config whole: its own lines, those of its bases, and the options of the command line.

Examples:
    tevit-vis print-config tevit/tevit_msgshift
    tevit-vis print-config synthetic/tevit_tiny --key optimizer --cfg-options optimizer.lr=1e-4
"""

from __future__ import annotations

import argparse

from tevit_vis.utils.cli import add_config_arguments
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import did_you_mean


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument('--key', help='print this part only, such as model.backbone')


def run(args: argparse.Namespace) -> None:
    from mmcv import Config

    from tevit_vis.utils.config import load_config

    config = load_config(args.config, args.cfg_options)
    if args.key is None:
        print(config.pretty_text)
        return
    part = config._cfg_dict
    walked: list[str] = []
    for name in args.key.split('.'):
        if not isinstance(part, dict) or name not in part:
            known = list(part) if isinstance(part, dict) else []
            place = '.'.join(walked) or args.config
            raise InputError(f'--key: {place} has no key {name!r}{did_you_mean(name, known)}')
        part = part[name]
        walked.append(name)
    print(Config({walked[-1]: part}).pretty_text)
