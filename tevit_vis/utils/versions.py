"""The version gate: checks at import that the installed torch, mmcv and mmdet are supported."""

from __future__ import annotations

import re
from importlib import metadata

# distribution -> (lowest version, first version beyond the range)
SUPPORTED_VERSIONS = {
    'torch': ('2.6', '3.0'),
    'mmcv-full': ('1.7.0', '1.8.0'),
    'mmdet': ('2.28.0', '3.0.0'),
}


def version_tuple(version: str) -> tuple[int, ...]:
    """Returns up to three leading numbers of a version.

    Example:
        >>> version_tuple('2.13.0+cpu')
        (2, 13, 0)
    """
    return tuple(int(number) for number in re.findall(r'\d+', version.split('+')[0])[:3])


def installed_version(distribution: str) -> str | None:
    """Returns the version of a distribution, or None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def check_versions() -> None:
    """Checks that the installed versions are in the ranges of ``SUPPORTED_VERSIONS``.

    Raises:
        ImportError: one line per package that is missing or out of range.
    """
    faults = []
    for name, (lowest, beyond) in SUPPORTED_VERSIONS.items():
        installed = installed_version(name)
        requirement = f'{name} >={lowest}, <{beyond}'
        if installed is None:
            faults.append(f'{requirement} is wanted, but none is installed')
        elif not version_tuple(lowest) <= version_tuple(installed) < version_tuple(beyond):
            faults.append(f'{requirement} is wanted, but {installed} is installed')
    if faults:
        raise ImportError(
            'tevit_vis: ' + '; '.join(faults) + '. "bash tools/setup_env.sh" installs what fits.'
        )
