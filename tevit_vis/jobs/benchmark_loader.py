"""Measure the training data loader: time to read annotations, clips per second, and memory."""

from __future__ import annotations

import argparse
import os
import time

from tevit_vis.datasets import build_dataset, build_train_loader
from tevit_vis.utils.config import build, load_config


def memory(process: int) -> dict:
    """Returns the memory of a process in MB: resident, proportional share, private."""
    sizes = {}
    with open(f'/proc/{process}/smaps_rollup') as file:
        for line in file:
            name, *value = line.split()
            if name in ('Rss:', 'Pss:', 'Private_Dirty:', 'Private_Clean:'):
                sizes[name[:-1]] = int(value[0]) / 1024
    private = sizes['Private_Dirty'] + sizes['Private_Clean']
    return {'RSS': sizes['Rss'], 'PSS': sizes['Pss'], 'private': private}


def run_benchmark_loader(args: argparse.Namespace) -> None:
    config = load_config(args.config, args.cfg_options)
    before = memory(os.getpid())['RSS']
    start = time.process_time()
    dataset = build('data.train', lambda: build_dataset(config.data.train))
    cpu_seconds = time.process_time() - start
    after = memory(os.getpid())['RSS']
    print(f'{len(dataset.videos)} videos, {len(dataset)} key frames')
    print(
        f'annotations: read in {cpu_seconds:.2f} CPU s, {after - before:.0f} MB more '
        f'({after:.0f} MB)'
    )

    per_batch = config.data.samples_per_gpu
    loader = build_train_loader(dataset, per_batch, args.workers, seed=0, rank=0, world_size=1)
    batches = iter(loader)
    next(batches)  # starts the workers, which is not counted
    start, num_clips = time.perf_counter(), 0
    while num_clips < args.clips:
        next(batches)
        num_clips += per_batch
    seconds = time.perf_counter() - start
    print(f'{args.workers} workers: {num_clips / seconds:.1f} clips/s ({per_batch} a batch)')
    for worker in getattr(batches, '_workers', ()):
        sizes = memory(worker.pid)
        print('worker: ' + ', '.join(f'{name} {value:.0f} MB' for name, value in sizes.items()))
    print(f'main: RSS {memory(os.getpid())["RSS"]:.0f} MB')
