"""Check a GPU: what is installed, whether it gives the same numbers as the CPU, how fast it is.

Shows driver, torch, mmcv's ops and memory. Compares every system with the CPU (outputs, tracks,
losses, gradients; TF32 off). With two GPUs, compares two processes (nccl) with one. Measures fp32,
TF32, bf16, fp16 and torch.compile side by side, from a video file to the video with drawn masks.

The results are printed as tables and written to --out as JSON. The exit code is 1 if numbers
differ.

Examples:
    tevit-vis gpu-check
    tevit-vis gpu-check --quick --systems TeViT IFC --modes fp32 bf16
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--quick', action='store_true', help='take small models and one length of clips'
    )
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: a GPU if there is one)')
    parser.add_argument(
        '--out', default='gpu_check.json', help='JSON file to write (default: %(default)s)'
    )
    parser.add_argument(
        '--systems',
        nargs='+',
        metavar='SYSTEM',
        help='systems to check: TeViT, SeqFormer, IFC, MS-STS, Mask2Former (default: all)',
    )
    parser.add_argument(
        '--frames',
        nargs='+',
        type=int,
        help='lengths of videos to measure (default: 5 10 36; with --quick: 5)',
    )
    parser.add_argument(
        '--modes',
        nargs='+',
        metavar='MODE',
        help='precisions to measure: fp32, TF32, bf16, fp16, "bf16 compile" (default: all; with '
        '--quick on the CPU: fp32 bf16)',
    )
    parser.add_argument('--two-processes', action='store_true', help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> None:
    from tevit_vis.jobs.gpu_check import run_gpu_check

    run_gpu_check(args)
