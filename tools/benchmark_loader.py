"""Time to read an annotation file, clips per second, and memory of the training data loader.

    python tools/benchmark_loader.py CONFIG [--workers 4] [--clips 400]

Memory of the workers is what each holds for itself (private) and its share of what all have in
common (PSS).
"""

import argparse
import os
import time

from tevit_vis.datasets import build_dataset, build_train_loader
from tevit_vis.utils.cli import add_config_arguments, positive, run_tool, tool_parser
from tevit_vis.utils.config import build, load_config


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    add_config_arguments(parser)
    parser.add_argument('--workers', type=int, default=4, help='default: %(default)s')
    parser.add_argument('--clips', type=positive, default=400, help='default: %(default)s')
    return parser.parse_args()


def memory(process: int) -> dict:
    """MB of a process: resident, proportional share, private."""
    found = {}
    with open(f'/proc/{process}/smaps_rollup') as file:
        for line in file:
            name, *value = line.split()
            if name in ('Rss:', 'Pss:', 'Private_Dirty:', 'Private_Clean:'):
                found[name[:-1]] = int(value[0]) / 1024
    private = found['Private_Dirty'] + found['Private_Clean']
    return {'RSS': found['Rss'], 'PSS': found['Pss'], 'private': private}


def main() -> None:
    args = parse_args()
    config = load_config(args.config, args.cfg_options)
    empty = memory(os.getpid())['RSS']
    begun = time.process_time()
    dataset = build('data.train', lambda: build_dataset(config.data.train))
    read = time.process_time() - begun
    loaded = memory(os.getpid())['RSS']
    print(f'{len(dataset.videos)} videos, {len(dataset)} key frames')
    print(f'annotations: read in {read:.2f} CPU s, {loaded - empty:.0f} MB more ({loaded:.0f} MB)')

    per_batch = config.data.samples_per_gpu
    loader = build_train_loader(dataset, per_batch, args.workers, seed=0, rank=0, world_size=1)
    batches = iter(loader)
    next(batches)  # the workers are up
    begun, count = time.perf_counter(), 0
    while count < args.clips:
        next(batches)
        count += per_batch
    seconds = time.perf_counter() - begun
    print(f'{args.workers} workers: {count / seconds:.1f} clips/s ({per_batch} a batch)')
    for worker in getattr(batches, '_workers', ()):
        used = memory(worker.pid)
        print('worker: ' + ', '.join(f'{name} {value:.0f} MB' for name, value in used.items()))
    print(f'main: RSS {memory(os.getpid())["RSS"]:.0f} MB')


if __name__ == '__main__':
    run_tool(main)
