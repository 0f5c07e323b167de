"""The official implementations' numbers, on every shared case of the systems that are built."""

import pytest
from check_case import CHECKS, check_case
from conftest import SHARED

CASES = [
    path
    for system in sorted(CHECKS)
    for path in sorted((SHARED / 'goldens' / system).glob('*/manifest.json'))
]


@pytest.mark.skipif(not CASES, reason='../shared/goldens is absent')
@pytest.mark.parametrize(
    'case',
    [
        pytest.param(
            path.parent,
            id='/'.join(path.parts[-3:-1]),
            marks=[pytest.mark.slow] if path.parent.name.startswith('full') else [],
        )
        for path in CASES
    ],
)
def test_check_case_passes(case):
    report = check_case(case)
    assert report.passed, f'\n{report}'
    has_tensors = any(case.glob('expected_test*.npz'))
    assert len(report.rows) >= (15 if has_tensors else 2)
