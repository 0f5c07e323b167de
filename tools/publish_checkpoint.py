"""Make a checkpoint small enough to hand on: weights and class names, in half precision.

    python tools/publish_checkpoint.py work_dirs/tevit/latest.pth tevit.pth

Prints the file's SHA-256. --full keeps single precision.
"""

import argparse
import os
from collections.abc import Mapping

import torch

from tevit_vis.apis.journal import file_digest
from tevit_vis.utils.checkpoints import read_checkpoint, weights_of, write_checkpoint
from tevit_vis.utils.cli import add_trust_argument, run_tool, tool_parser
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.weights import check_finite


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', help='of tools/train.py')
    parser.add_argument('out', help='file to write')
    parser.add_argument('--full', action='store_true', help='keep single precision')
    add_trust_argument(parser)
    return parser.parse_args()


def in_half_precision(weights: Mapping, path: str) -> dict:
    """The weights in fp16.

    Raises:
        InputError: fp16 cannot hold one.
    """
    odd = [name for name, value in weights.items() if not isinstance(value, torch.Tensor)]
    if odd:
        raise InputError(f'{path}: weights must be tensors, but {odd[0]} is none')
    halved = {
        name: value.half() if value.is_floating_point() else value
        for name, value in weights.items()
    }
    lost = [name for name, value in halved.items() if not torch.isfinite(value).all()]
    if lost:
        largest = float(weights[lost[0]].abs().max())
        raise InputError(
            f'{path}: weights must be below 65504 to be stored in half precision, but {lost[0]} '
            f'has {largest:g} (and {len(lost) - 1} more are too large): add --full'
        )
    return halved


def main() -> None:
    args = parse_args()
    check_writable(args.out, not_over=[args.checkpoint])
    checkpoint = read_checkpoint(args.checkpoint, trust=args.trust_checkpoint)
    weights = weights_of(checkpoint, args.checkpoint)
    check_finite(weights, args.checkpoint)
    if not args.full:
        weights = in_half_precision(weights, args.checkpoint)
    meta = checkpoint.get('meta', {})
    kept = {
        key: meta[key] for key in ('CLASSES', 'iter', 'seed', 'tevit_vis_version') if key in meta
    }
    content = dict(meta=kept, state_dict=weights)
    write_checkpoint(content, args.out)
    megabytes = os.path.getsize(args.out) / 1e6
    print(f'{args.out}: {len(weights)} weights, {megabytes:.1f} MB, sha256 {file_digest(args.out)}')


if __name__ == '__main__':
    run_tool(main)
