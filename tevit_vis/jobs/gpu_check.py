"""Check a GPU: what is installed, whether it gives the same numbers as the CPU, how fast it is."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence

import torch

from tevit_vis.apis.gpu_check import (
    check_two_processes,
    compare_system,
    comparison_rows,
    describe_device,
)
from tevit_vis.apis.random_models import FULL_CONFIGS, SMALL_CONFIGS
from tevit_vis.apis.speed import MODES, measure_speed, measure_training
from tevit_vis.layers.cuda_ops import has_cuda_ops
from tevit_vis.utils.devices import check_device
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.json_files import write_json

GRADIENT_BOUND = 1e-3  # of two processes against one


def print_table(title: str, rows: list[dict], columns: dict[str, str]) -> None:
    """Prints a table.

    Args:
        title: line above the table.
        rows: each row as values by column name; ``fault`` is printed behind the row.
        columns: format specification by column name.
    """
    print(f'\n{title}')
    lines = [[name.replace('_', ' ') for name in columns]]
    for row in rows:
        values = [format(row[name], spec) if name in row else '-' for name, spec in columns.items()]
        lines.append(values)
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line, fault in zip(lines, ['', *(row.get('fault', '') for row in rows)]):
        print('  '.join(text.rjust(width) for text, width in zip(line, widths)) + f'  {fault}')


def chosen(option: str, names: Sequence[str] | None, known: Iterable[str]) -> list[str]:
    """Returns the names that an option gives, or all.

    Raises:
        InputError: a name is not known.
    """
    for name in names or ():
        if name not in known:
            raise InputError(f'{option}: must be of {", ".join(known)}, but got {name}')
    return list(names or known)


def run_two_processes(device: torch.device) -> dict | None:
    """Compares the gradients of two processes with those of one.

    Returns:
        Differences by name, or ``fault``; None where there are no two GPUs that can train.
    """
    if device.type == 'cuda' and (torch.cuda.device_count() < 2 or not has_cuda_ops(device)):
        return None
    launch = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    command = ['-m', 'tevit_vis', 'gpu-check', '--two-processes']
    process = subprocess.run(
        [sys.executable, *launch, *command, '--device', device.type],
        capture_output=True,
        text=True,
    )
    lines = [line for line in process.stdout.splitlines() if line.startswith('{')]
    if process.returncode or not lines:
        print(process.stderr[-2000:])
        return {'fault': f'two processes failed with exit code {process.returncode}'}
    return json.loads(lines[-1])


def compare_systems(systems: Sequence[str], device: torch.device, report: dict) -> list[dict]:
    """Compares systems with the CPU, and puts what was compared into the report.

    Returns:
        The rows that are beyond their bounds.
    """
    comparisons = [row for system in systems for row in compare_system(system, device)]
    report['comparisons'] = comparison_rows(comparisons)
    columns = dict(system='', quantity='', difference='.1e', bound='.0e', passed='')
    failed_rows = [row for row in report['comparisons'] if not row['passed']]
    largest_ratios = {
        row.system: max(r.difference / r.bound for r in comparisons if r.system == row.system)
        for row in comparisons
    }
    print_table(
        'Beyond the bound, against the CPU:' if failed_rows else 'Equal to the CPU.',
        failed_rows,
        columns,
    )
    for system, ratio in largest_ratios.items():
        print(f'{system}: the largest difference is {ratio:.0%} of its bound')
    return failed_rows


def run_gpu_check(args: argparse.Namespace) -> None:
    if args.two_processes:
        differences = check_two_processes(args.device)
        if os.environ['RANK'] == '0':  # lines of two processes may run into each other
            print(json.dumps(differences), flush=True)
        return
    check_writable(args.out)
    args.systems = chosen('--systems', args.systems, SMALL_CONFIGS)
    args.modes = args.modes and chosen('--modes', args.modes, MODES)
    device = check_device(args.device)
    report = dict(device=describe_device(device))
    for name, value in report['device'].items():
        print(f'{name.replace("_", " "):12} {value}')

    failed_rows = compare_systems(args.systems, device, report)
    write_json(report, args.out)  # after each section, so that it is kept if a later one fails
    report['two_processes'] = run_two_processes(device)
    if report['two_processes'] is None:
        print('\nTwo processes: not tried, there are no two GPUs that can train')
    else:
        print(f'\nTwo processes against one, gradients: {report["two_processes"]}')

    configs = SMALL_CONFIGS if args.quick else FULL_CONFIGS
    modes = args.modes or (['fp32', 'bf16'] if args.quick and device.type == 'cpu' else list(MODES))
    lengths = args.frames or ([5] if args.quick else [5, 10, 36])
    repeats = 1 if args.quick else 3
    report['speed'] = [
        measure_speed(system, configs[system], device, mode, frames, repeats)
        for system in args.systems
        for mode in modes
        for frames in lengths
    ]
    parts = {f'{part}_part': '.0%' for part in ('decoding', 'rle', 'drawing')}
    columns = dict(system='', mode='', frames='', fps='.1f', model_fps='.1f', **parts)
    print_table(
        'Videos of 640x360, frames per second:', report['speed'], dict(columns, peak_mb='.0f')
    )

    write_json(report, args.out)
    report['training'] = [
        measure_training(system, configs[system], device, amp, frames, steps=2 if args.quick else 5)
        for system in args.systems
        for amp in (None, 'bf16', 'fp16')
        for frames in lengths[: 1 if args.quick else 2]
        if not (amp == 'fp16' and device.type == 'cpu')
    ]
    columns = dict(system='', mode='', frames='', seconds='.3f', peak_mb='.0f')
    print_table('Training steps of one clip, seconds:', report['training'], columns)
    write_json(report, args.out)
    print(f'\n{args.out}')
    differences = report['two_processes'] or {}
    has_failed = 'fault' in differences or any(
        value > GRADIENT_BOUND for value in differences.values()
    )
    if failed_rows or has_failed:
        raise InputError(f"{device}: numbers must be the CPU's, but some are not: see above")
