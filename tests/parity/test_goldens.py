"""The official implementations' numbers, on every case that is found."""

import shutil

import numpy as np
import pytest
from builders import GOLDENS, SHARED
from check_case import CHECKS, check_case


def all_cases():
    """The cases of this repository, then those beside it that it does not have."""
    cases = {}
    for folder in (GOLDENS, SHARED / 'goldens'):
        for system in sorted(CHECKS):
            for path in sorted((folder / system).glob('*/manifest.json')):
                cases.setdefault('/'.join(path.parts[-3:-1]), path)
    return list(cases.values())


CASES = all_cases()


def test_every_system_has_a_case_in_this_repository():
    own = {path.parts[-3] for path in CASES if GOLDENS in path.parents}
    assert own == set(CHECKS)


@pytest.mark.parametrize(
    'case',
    [
        pytest.param(
            path.parent,
            id='/'.join(path.parts[-3:-1]),
            # The small cases that every clone has are the quick check.
            marks=[] if GOLDENS in path.parents else [pytest.mark.slow],
        )
        for path in CASES
    ],
)
def test_check_case_passes(case):
    report = check_case(case)
    assert report.passed, f'\n{report}'
    has_tensors = any(case.glob('expected_test*.npz'))
    assert len(report.rows) >= (15 if has_tensors else 2)


@pytest.mark.slow
def test_an_array_may_be_stored_for_every_nth_channel(tmp_path):
    case = tmp_path / 'tiny'
    shutil.copytree(GOLDENS / 'seqformer' / 'tiny', case)
    (path,) = case.glob('expected_test*.npz')
    arrays = dict(np.load(path))
    arrays['memory_f16'] = arrays['memory_f16'][..., ::4]
    arrays['memory_channel_step'] = np.array(4)
    np.savez(path, **arrays)
    report = check_case(case)
    assert report.passed, f'\n{report}'
    assert any('memory (half)' in row[0] for row in report.rows)
