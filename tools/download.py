"""Fetch published weights by name, or list what is known to exist.

A download that broke off goes on where it stopped, and the file is checked against its hash.
Weights of a model go to the cache ($TEVIT_VIS_CACHE or ~/.cache/tevit_vis), where "zoo" finds them,
in this project's layout; those of a backbone go to the place that configs name (pretrained/...).

Examples:
    python tools/download.py --list
    python tools/download.py mask2former/mask2former_r50_coco
    python tools/download.py pretrained/resnet50.pth
"""

import argparse
from pathlib import Path

from tevit_vis.model_zoo import ZOO, Weights, cache_folder, fetch, find_weights, zoo_file
from tevit_vis.model_zoo.weights import ZOO_PREFIX
from tevit_vis.utils.cli import add_trust_argument, run_tool, tool_parser
from tevit_vis.utils.errors import InputError


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('names', nargs='*', metavar='NAME', help='name of the weights')
    parser.add_argument('--list', action='store_true', help='print what is known, and stop')
    add_trust_argument(parser)
    return parser.parse_args()


def describe(weights: Weights) -> str:
    """Returns what is known of weights, in lines."""
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


def main() -> None:
    args = parse_args()
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


if __name__ == '__main__':
    run_tool(main)
