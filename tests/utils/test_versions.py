import pytest

from tevit_vis.utils import versions


@pytest.mark.parametrize(
    ('version', 'numbers'),
    [('2.13.0+cpu', (2, 13, 0)), ('1.7.2', (1, 7, 2)), ('3.0.0rc1', (3, 0, 0)), ('2.0', (2, 0))],
)
def test_version_tuple(version, numbers):
    assert versions.version_tuple(version) == numbers


@pytest.mark.parametrize(
    ('found', 'message'),
    [
        ({'mmcv-full': '2.1.0'}, 'mmcv-full >=1.7.0, <1.8.0 is wanted, but 2.1.0 is installed'),
        ({'mmdet': None}, 'mmdet >=2.28.0, <3.0.0 is wanted, but none is installed'),
        ({'torch': '1.9.0'}, 'torch >=2.6, <3.0 is wanted, but 1.9.0'),
    ],
)
def test_the_gate_says_what_was_found_and_what_is_wanted(monkeypatch, found, message):
    installed = {'torch': '2.13.0', 'mmcv-full': '1.7.2', 'mmdet': '2.28.2', **found}
    monkeypatch.setattr(versions, 'installed_version', installed.get)
    with pytest.raises(ImportError, match=message):
        versions.check_versions()
