"""Make a small checkpoint for publishing: weights and class names only, in half precision.

Prints the size of the file and its SHA-256.

Examples:
    tevit-vis publish-checkpoint work_dirs/tevit_msgshift/latest.pth tevit_msgshift.pth
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping

from tevit_vis.utils.cli import add_trust_argument
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.hashes import file_digest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('checkpoint', help='checkpoint of tevit-vis train')
    parser.add_argument('out', help='checkpoint file to write')
    parser.add_argument('--full', action='store_true', help='keep single precision')
    add_trust_argument(parser)


def in_half_precision(weights: Mapping, path: str) -> dict:
    """Returns the weights in fp16.

    Raises:
        InputError: a weight is no tensor, or is too large for fp16.
    """
    import torch

    not_tensors = [name for name, value in weights.items() if not isinstance(value, torch.Tensor)]
    if not_tensors:
        raise InputError(f'{path}: weights must be tensors, but {not_tensors[0]} is none')
    half_weights = {
        name: value.half() if value.is_floating_point() else value
        for name, value in weights.items()
    }
    too_large = [name for name, value in half_weights.items() if not torch.isfinite(value).all()]
    if too_large:
        largest = float(weights[too_large[0]].abs().max())
        raise InputError(
            f'{path}: weights must be below 65504 to be stored in half precision, but '
            f'{too_large[0]} has {largest:g} (and {len(too_large) - 1} more are too large): '
            'add --full'
        )
    return half_weights


def run(args: argparse.Namespace) -> None:
    from tevit_vis.utils.checkpoints import read_checkpoint, weights_of, write_checkpoint
    from tevit_vis.utils.weights import check_weights_finite

    check_writable(args.out, not_over=[args.checkpoint])
    checkpoint = read_checkpoint(args.checkpoint, trust=args.trust_checkpoint)
    weights = weights_of(checkpoint, args.checkpoint)
    check_weights_finite(weights, args.checkpoint)
    if not args.full:
        weights = in_half_precision(weights, args.checkpoint)
    full_meta = checkpoint.get('meta', {})
    keys = ('CLASSES', 'iter', 'seed', 'tevit_vis_version')
    meta = {key: full_meta[key] for key in keys if key in full_meta}
    content = dict(meta=meta, state_dict=weights)
    write_checkpoint(content, args.out)
    megabytes = os.path.getsize(args.out) / 1e6
    print(f'{args.out}: {len(weights)} weights, {megabytes:.1f} MB, sha256 {file_digest(args.out)}')
