"""Compare a golden case of an official implementation with ours.

    python tests/parity/check_case.py CASE_DIR [CASE_DIR ...]

Prints a table per case; exit code 0 when all pass, 1 when one fails, 2 when one cannot be run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

import ifc_case  # noqa: E402
import seqformer_case  # noqa: E402
import tevit_case  # noqa: E402
from golden import GoldenCase  # noqa: E402

from tevit_vis.utils.errors import InputError  # noqa: E402

CHECKS = {'ifc': ifc_case.check, 'seqformer': seqformer_case.check, 'tevit': tevit_case.check}


def check_case(folder: Path):
    """The report of a case.

    Raises:
        InputError: no case is there, or it is of a system that has no check yet.
    """
    case = GoldenCase(folder)
    if case.system not in CHECKS:
        raise InputError(
            f'{folder}: system must be one of {sorted(CHECKS)}, but got {case.system!r}'
        )
    return CHECKS[case.system](case)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('case_dirs', nargs='+', type=Path, metavar='CASE_DIR')
    passed = True
    for folder in parser.parse_args().case_dirs:
        try:
            report = check_case(folder)
        except InputError as error:
            print(f'error: {error}', file=sys.stderr)
            sys.exit(2)
        print(f'{folder}\n{report}\n{"PASS" if report.passed else "FAIL"}\n')
        passed = passed and report.passed
    sys.exit(0 if passed else 1)


if __name__ == '__main__':
    main()
