"""Export a model to ONNX graphs, which tevit_vis.deploy runs without torch, mmcv and mmdet.

The folder holds graphs of standard operators (opset 18) and model.json, which says all that a
caller needs. The graphs are run by onnxruntime and compared with the model; a folder that finds
something else is not written. docs/deployment.md says how to run it.

Examples:
    tevit-vis export synthetic/tevit_tiny configs/synthetic/tevit_tiny.pth --out exported
    tevit-vis export ifc/ifc_r50_ytvis19 ifc_r50.pth --out exported --size 1280x720 720x1280
    tevit-vis export tevit/tevit_msgshift zoo --out exported --fp16
    tevit-vis export ifc/ifc_r50_ytvis19 ifc_r50.pth --out exported --int8 --calibrate walk.mp4
    tevit-vis deploy exported walk.mp4 --out found.mp4
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tevit_vis.deploy.folder import DESCRIPTION
from tevit_vis.utils.cli import add_config_arguments, add_trust_argument, frame_size, positive
from tevit_vis.utils.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file, zoo or zoo:NAME')
    add_trust_argument(parser)
    parser.add_argument('--out', required=True, metavar='DIR', help='folder to write')
    parser.add_argument(
        '--size',
        nargs='+',
        type=frame_size,
        default=[(640, 360)],
        metavar='WxH',
        help='of the frames of videos; graphs are made for each (default: 640x360)',
    )
    parser.add_argument(
        '--frames', type=positive, help='of a clip or window (default: any number will do)'
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument('--fp16', action='store_true', help='compute in half precision')
    form.add_argument('--int8', action='store_true', help='weights of matrix products in 8 bits')
    parser.add_argument(
        '--calibrate',
        nargs='+',
        default=[],
        metavar='VIDEO',
        help='with --int8: videos or folders of images like yours; the backbone computes in 8 '
        'bits, too, with the ranges of values that the first minutes of these have',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace --out if it is there')


def check_target(path: str, overwrite: bool) -> None:
    """Checks that a folder may be written.

    Raises:
        InputError: it is there and not to be replaced, or is something else.
    """
    target = Path(path)
    if target.is_dir() and any(target.iterdir()):
        if not overwrite:
            raise InputError(f'{path}: is there already: --overwrite replaces it')
        if not (target / DESCRIPTION).is_file():
            raise InputError(f'{path}: holds no exported model, so it is not replaced')
    elif target.exists() and not target.is_dir():
        raise InputError(f'{path}: must be a folder, but is a file')


def run(args: argparse.Namespace) -> None:
    from tevit_vis.apis import init_model
    from tevit_vis.export import ExportOptions, export_model
    from tevit_vis.export.exporter import check_packages
    from tevit_vis.video import expand_inputs

    form = 'fp16' if args.fp16 else 'int8' if args.int8 else 'fp32'
    videos = list(map(str, expand_inputs(args.calibrate)))
    options = ExportOptions(args.size, args.frames, form, videos)
    check_target(args.out, args.overwrite)
    check_packages()
    model = init_model(
        args.config,
        args.checkpoint,
        'cpu',
        cfg_options=args.cfg_options,
        trust_checkpoint=args.trust_checkpoint,
    )
    start = time.perf_counter()
    agreements = export_model(model, args.out, options, lambda step: print(step, file=sys.stderr))
    size = sum(file.stat().st_size for file in Path(args.out).iterdir()) / 1e6
    print(*agreements, sep='\n')
    print(f'{args.out}: {size:.1f} MB, made in {time.perf_counter() - start:.0f} s')
