"""Say what is installed, what is missing, and what to do about it.

Looks at Python, at what exported models need, at torch, mmcv's ops and mmdet, at a GPU, at the
encoders of videos, at optional packages and at the weights that are at hand. The exit code is 1
if neither models of torch nor exported ones can run here.

Examples:
    tevit-vis doctor
"""

from __future__ import annotations

import argparse

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.health import STACK, Finding, examine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser  # has only what all commands have


def run(args: argparse.Namespace) -> None:
    del args
    findings = list(examine())
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        print(f'{_mark(finding):8} {finding.what:{width}}  {finding.found}')
        if finding.remedy:
            print(f'{"":8} {"":{width}}  -> {finding.remedy}')
    faults = {finding.what for finding in findings if finding.is_needed and not finding.is_well}
    exported_run = 'onnxruntime' in {finding.what for finding in findings if finding.is_well}
    if not faults:
        print('models run here')
    elif exported_run and faults <= STACK:
        print('exported models run here (tevit-vis deploy), models of torch do not')
    else:
        raise InputError(f'{len(faults)} of the things that models need are not well: see above')


def _mark(finding: Finding) -> str:
    if finding.is_well:
        return 'ok'
    return 'FAULT' if finding.is_needed else 'absent'
