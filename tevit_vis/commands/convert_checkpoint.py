"""Convert the checkpoint of an official repository to one of this project, or back.

Prints what became of every key: renamed, dropped (and why), made or missing. With --config, the
weights must also fit that config's model, key by key and shape by shape.

Examples:
    tevit-vis convert-checkpoint seqformer official.pth ours.pth
    tevit-vis convert-checkpoint seqformer ours.pth official.pth --reverse
    tevit-vis convert-checkpoint ifc official.pth ifc_r50.pth --config ifc/ifc_r50_ytvis19
    tevit-vis convert-checkpoint mask2former model_final.pkl mask2former_r50.pth
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tevit_vis.utils.cli import add_trust_argument
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable

SYSTEMS = ('ifc', 'mask2former', 'seqformer')  # with a table in tevit_vis.converters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('system', choices=SYSTEMS, help='system of the checkpoint')
    parser.add_argument('checkpoint', help='checkpoint file to read')
    parser.add_argument('out', help='checkpoint file to write')
    parser.add_argument(
        '--reverse', action='store_true', help="convert this project's layout to the official one"
    )
    parser.add_argument(
        '--config', help="config whose model the weights in this project's layout must fit"
    )
    parser.add_argument('--quiet', action='store_true', help='print the last line only')
    add_trust_argument(parser)


def run(args: argparse.Namespace) -> None:
    from tevit_vis.apis.build import build_without_pretraining
    from tevit_vis.converters import TABLES, convert_checkpoint
    from tevit_vis.utils.checkpoints import read_checkpoint, weights_of, write_checkpoint
    from tevit_vis.utils.config import load_config
    from tevit_vis.utils.weights import load_weights

    check_writable(args.out, not_over=[args.checkpoint])
    table = TABLES[args.system]
    content = read_checkpoint(args.checkpoint, trust=args.trust_checkpoint)
    source, target = table.checkpoint_key, 'state_dict'
    if args.reverse:
        source, target = target, source
    key = source if source in content else target  # where none is there, the converter says so
    weights = weights_of(content, args.checkpoint, key)
    converted = convert_checkpoint(weights, table, args.checkpoint, args.reverse)
    report = str(converted)
    print(report.splitlines()[-1] if args.quiet else report)
    if table.license_note:
        print(f'licence: {table.license_note}')
    if converted.missing:
        raise InputError(
            f'{args.checkpoint}: weights must be whole, but {len(converted.missing)} keys are '
            f'missing (first: {converted.missing[0]}); nothing was written'
        )
    if args.config:
        ours = weights if args.reverse else converted.weights
        model = build_without_pretraining(load_config(args.config))
        load_weights(model, dict(state_dict=ours), f'{args.checkpoint} for {args.config}')
    result = {target: converted.weights, 'meta': {'converted_from': Path(args.checkpoint).name}}
    write_checkpoint(result, args.out)
    print(f'{args.out}: {len(converted.weights)} weights')
