"""Say what is installed, what is missing, and what to do about it.

Looks at Python, at what exported models need, at torch, mmcv's ops and mmdet, at a GPU, at the
encoders of videos, at optional packages and at the weights that are at hand. The exit code is 1
if models cannot run here.

Examples:
    tevit-vis doctor
"""

from __future__ import annotations

import argparse

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.health import Finding, examine


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
    num_faults = sum(finding.is_needed and not finding.is_well for finding in findings)
    if num_faults:
        raise InputError(f'{num_faults} of the things that models need are not well: see above')
    print('models run here')


def _mark(finding: Finding) -> str:
    if finding.is_well:
        return 'ok'
    return 'FAULT' if finding.is_needed else 'absent'
