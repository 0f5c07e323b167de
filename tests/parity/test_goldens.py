"""The official implementations' numbers, on every shared case of the systems that are built."""

import pytest
from check_case import check_case
from conftest import SHARED

CASES = sorted((SHARED / 'goldens' / 'tevit').glob('*/manifest.json'))


@pytest.mark.skipif(not CASES, reason='../shared/goldens is absent')
@pytest.mark.parametrize(
    'case',
    [
        pytest.param(
            path.parent,
            id=path.parent.name,
            marks=[pytest.mark.slow] if path.parent.name.startswith('full') else [],
        )
        for path in CASES
    ],
)
def test_check_case_passes(case):
    report = check_case(case)
    assert report.passed, f'\n{report}'
    assert len(report.rows) > 40
