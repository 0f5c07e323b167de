"""Find the instances of videos and write them: what predict, stream and video-demo do."""

from __future__ import annotations

import argparse

from tevit_vis.apis import TorchVideoModel, init_model
from tevit_vis.apis.choice import CPU_SHORT_SIDE, choose_model, lower_short_side, set_short_side
from tevit_vis.outputs.arguments import predict_from_arguments
from tevit_vis.outputs.predict_all import LIVE_STRIDE, LIVE_WINDOW
from tevit_vis.utils.config import find_config, load_config
from tevit_vis.utils.devices import check_device


def run_predict(args: argparse.Namespace, as_stream: bool = False) -> None:
    """Finds the instances of the videos that arguments name, and writes their files.

    Args:
        args: of the command.
        as_stream: take windows, so that memory does not grow, also where the config has none.
    """
    config, checkpoint = choose_model(args.config, args.checkpoint)
    kept = [checkpoint, str(find_config(config))]

    def load() -> TorchVideoModel:
        model = load_chosen(args)
        if as_stream and model.inference_config.windows is None and not args.window:
            model.change_windows(LIVE_WINDOW, args.stride or LIVE_STRIDE)
            args.stride = None
        return model

    predict_from_arguments(args, load, kept)


def load_chosen(args: argparse.Namespace) -> TorchVideoModel:
    """Loads the model that arguments name, or the one that is taken where they name none."""
    is_chosen = args.config is None and args.checkpoint is None
    name, checkpoint = choose_model(args.config, args.checkpoint)
    config = load_config(name, args.cfg_options)
    side = args.short_side
    if side:
        set_short_side(config, side, name)
    elif is_chosen and check_device(args.device).type == 'cpu':
        side = lower_short_side(config, CPU_SHORT_SIDE, name)
    if is_chosen:
        size = f', frames of short side {side} (--short-side)' if side else ''
        print(f'model: {name} (--config and --checkpoint name another){size}')
    detector = init_model(
        config,
        checkpoint,
        args.device,
        trust_checkpoint=args.trust_checkpoint,
        amp=args.amp,
        compile=args.compile,
    )
    return TorchVideoModel(detector)
