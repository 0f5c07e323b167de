"""The version gate: says at import what was found and what is wanted."""

from __future__ import annotations

import re
from importlib import metadata

# distribution -> (lowest version, first version beyond the range)
WANTED = {
    'torch': ('2.6', '3.0'),
    'mmcv-full': ('1.7.0', '1.8.0'),
    'mmdet': ('2.28.0', '3.0.0'),
}


def version_tuple(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``'2.13.0+cpu'`` -> ``(2, 13, 0)``."""
    return tuple(int(number) for number in re.findall(r'\d+', version.split('+')[0])[:3])


def installed_version(distribution: str) -> str | None:
    """Version of a distribution, or None where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def check_versions() -> None:
    """Compare what is installed with ``WANTED``.

    Raises:
        ImportError: one line per package that is missing or out of range.
    """
    faults = []
    for name, (lowest, beyond) in WANTED.items():
        found = installed_version(name)
        wanted = f'{name} >={lowest}, <{beyond}'
        if found is None:
            faults.append(f'{wanted} is wanted, but none is installed')
        elif not version_tuple(lowest) <= version_tuple(found) < version_tuple(beyond):
            faults.append(f'{wanted} is wanted, but {found} is installed')
    if faults:
        raise ImportError(
            'tevit_vis: ' + '; '.join(faults) + '. "bash tools/setup_env.sh" installs what fits.'
        )
