"""Fetch published weights by name, or list what is known to exist.

A download that broke off goes on where it stopped, and the file is checked against its hash.
Weights of a model go to the cache ($TEVIT_VIS_CACHE or ~/.cache/tevit_vis), where "zoo" finds them,
in this project's layout; those of a backbone go to the place that configs name (pretrained/...).

Examples:
    tevit-vis download --list
    tevit-vis download mask2former/mask2former_r50_coco
    tevit-vis download pretrained/resnet50.pth
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tevit_vis.utils.cli import add_trust_argument
from tevit_vis.utils.errors import InputError

if TYPE_CHECKING:
    from tevit_vis.model_zoo import Weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('names', nargs='*', metavar='NAME', help='name of the weights')
    parser.add_argument('--list', action='store_true', help='print what is known, and stop')
    add_trust_argument(parser)


def describe(weights: Weights) -> str:
    """Returns what is known of weights, in lines."""
    from tevit_vis.model_zoo import cache_folder

    how = 'in a browser' if weights.needs_browser else 'by this tool'
    is_here = (cache_folder() / weights.file).exists() or Path(weights.name).exists()
    lines = [
        f'{weights.name}{"  (here)" if is_here else ""}',
        f'    {weights.what}; licence: {weights.licence}'
        f'{"; converted at first use" if weights.converter else ""}',
        f'    {weights.address} ({how}{", " + weights.digest if weights.digest else ""})',
    ]
    if weights.needs_browser:
        lines.append(f'    put it at {cache_folder() / weights.file}')
    return '\n'.join(lines)


def run(args: argparse.Namespace) -> None:
    from tevit_vis.model_zoo import ZOO, fetch, find_weights, zoo_file
    from tevit_vis.model_zoo.weights import ZOO_PREFIX

    if args.list:
        print('\n'.join(map(describe, ZOO.values())))
        return
    if not args.names:
        raise InputError('NAME: must be the name of weights (--list prints them), but is missing')
    for weights in [find_weights(name.removeprefix(ZOO_PREFIX)) for name in args.names]:
        if weights.config:
            print(zoo_file(weights, args.trust_checkpoint))
        else:
            print(f'licence of the weights: {weights.licence}')
            fetch(weights, Path(weights.name))
            print(weights.name)
