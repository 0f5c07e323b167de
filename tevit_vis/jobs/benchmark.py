"""Measure a model: CPU seconds and wall seconds of each part, peak memory, parameters and FLOPs."""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections import defaultdict

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from tevit_vis.apis import init_model
from tevit_vis.datasets import FramePipeline
from tevit_vis.masks import encode_clip
from tevit_vis.utils.devices import precision


class PartTimer:
    """CPU and wall seconds by part of the model."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = defaultdict(lambda: [0.0, 0.0])
        self.starts = {}

    def now(self) -> tuple[float, float]:
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)
        return time.process_time(), time.perf_counter()

    def begin(self, name: str) -> None:
        self.starts[name] = self.now()

    def end(self, name: str) -> None:
        for index, (end, start) in enumerate(zip(self.now(), self.starts.pop(name))):
            self.seconds[name][index] += end - start

    def watch(self, name: str, module: torch.nn.Module) -> None:
        module.register_forward_pre_hook(lambda *_: self.begin(name))
        module.register_forward_hook(lambda *_: self.end(name))


@torch.inference_mode()
def count_flops(model: torch.nn.Module, images: np.ndarray) -> int:
    """Returns the floating-point operations of a clip, as torch counts them.

    Matrix products, convolutions and attention are counted; the sampling of deformable attention
    and RoIAlign is not.
    """
    with FlopCounterMode(display=False) as counter:
        run_clip(model, images, PartTimer(next(model.parameters()).device), encode=False)
    return counter.get_total_flops()


@torch.inference_mode()
def run_clip(
    model: torch.nn.Module, images: np.ndarray, timer: PartTimer, encode: bool = True
) -> None:
    """Runs the model on one clip [T, H, W, 3] and times its parts."""
    pipeline = FramePipeline(model.cfg.data.test.pipeline)
    timer.begin('all')
    timer.begin('preprocessing')
    frames = [pipeline.from_array(image) for image in images]
    clip = torch.stack([frame.img for frame in frames])[None].to(timer.device)
    metas = [frame.meta for frame in frames]
    del frames
    timer.end('preprocessing')
    with precision(timer.device, model.amp_dtype):
        features = model.extract_feat(clip)
        del clip
        prediction = model.predict_clip(features, metas)
    del features
    timer.begin('masks to RLE')
    if encode:
        encode_clip(prediction)
    timer.end('masks to RLE')
    timer.end('all')


def noise(args: argparse.Namespace) -> np.ndarray:
    """Returns a clip of noise [T, H, W, 3] (uint8)."""
    width, height = args.size
    return np.random.default_rng(0).integers(0, 256, (args.frames, height, width, 3), np.uint8)


def clip_name(args: argparse.Namespace) -> str:
    """Returns what is measured, in words."""
    width, height = args.size
    return f'{args.config}, {args.frames} frames of {width}x{height}'


def run_flops(args: argparse.Namespace) -> None:
    model = init_model(args.config, None, 'cpu', args.cfg_options)
    print(clip_name(args))
    for name, modules in model.timed_parts().items():
        count = sum(p.numel() for module in modules for p in module.parameters())
        print(f'{name:16} {count / 1e6:8.1f} million parameters')
    print(f'{"all":16} {num_parameters(model) / 1e6:8.1f} million parameters')
    operations = count_flops(model, noise(args))
    print(f'{operations / 1e9:.1f} GFLOPs a clip, {operations / args.frames / 1e9:.1f} a frame')


def num_parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def run_benchmark(args: argparse.Namespace) -> None:
    torch.manual_seed(0)
    model = init_model(
        args.config,
        args.checkpoint,
        args.device,
        args.cfg_options,
        amp=args.amp,
        compile=args.compile,
    )
    images = noise(args)
    peak_after_loading = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    runs = []
    for _ in range(args.repeat + 1):
        timer = PartTimer(next(model.parameters()).device)
        parts = model.timed_parts()
        for name, modules in parts.items():
            for module in modules:
                timer.watch(name, module)
        run_clip(model, images, timer)
        for modules in parts.values():
            for module in modules:
                module._forward_hooks.clear()
                module._forward_pre_hooks.clear()
        runs.append(timer.seconds)
    counted_runs = runs[1:] or runs
    print(f'{clip_name(args)}, {args.amp or "fp32"}, {torch.get_num_threads()} threads')
    print(f'{num_parameters(model) / 1e6:.1f} million parameters', end='')
    print('' if args.compile else f', {count_flops(model, images) / 1e9:.0f} GFLOPs a clip')
    print(f'{"part":16} {"CPU s":>8} {"wall s":>8}')
    for name in sorted(counted_runs[0], key=lambda name: -counted_runs[0][name][0]):
        cpu, wall = (statistics.median(run[name][i] for run in counted_runs) for i in (0, 1))
        print(f'{name:16} {cpu:8.2f} {wall:8.2f}')
    seconds = statistics.median(run['all'][1] for run in counted_runs)
    print(f'{args.frames / seconds:.2f} frames per second')
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f'peak memory {peak / 2**20:.2f} GB ({peak_after_loading / 2**20:.2f} after loading)')
    if args.device != 'cpu':
        print(f'peak on the device {torch.cuda.max_memory_allocated() / 2**30:.2f} GB')
