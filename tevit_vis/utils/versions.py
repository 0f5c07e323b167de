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


# packages that are imported by another name than they are installed by
DISTRIBUTIONS = {'cv2': 'opencv-python-headless', 'PIL': 'pillow', 'skimage': 'scikit-image'}


class UnfitStackError(ImportError):
    """torch, mmcv or mmdet is missing or of another version; the message is for users."""


def version_tuple(version: str) -> tuple[int, ...]:
    """Returns up to three leading numbers of a version.

    Example:
        >>> version_tuple('2.13.0+cpu')
        (2, 13, 0)
    """
    return tuple(int(number) for number in re.findall(r'\d+', version.split('+')[0])[:3])


def installed_version(distribution: str) -> str | None:
    """Returns the version of a distribution, or None if it is not installed.

    mmcv 1.x without compiled operators is called mmcv, and stands for mmcv-full on a CPU.
    """
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return installed_version('mmcv') if distribution == 'mmcv-full' else None


def check_versions() -> None:
    """Checks that the installed versions are in the ranges of ``SUPPORTED_VERSIONS``.

    Raises:
        UnfitStackError: one line per package that is missing or out of range.
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
        raise UnfitStackError(
            'tevit_vis: ' + '; '.join(faults) + '. In a checkout, "bash tools/setup_env.sh" '
            'installs what fits; else see docs/install.md.'
        )


def missing_package(error: ImportError) -> str | None:
    """Returns the line that says which package a failed import wants, and how to install it.

    Returns:
        None where the import failed for another reason.

    Example:
        >>> missing_package(ModuleNotFoundError("No module named 'cv2'", name='cv2'))
        'cv2: the package is missing: pip install opencv-python-headless'
    """
    if isinstance(error, UnfitStackError):
        return str(error)
    name = (error.name or '').partition('.')[0]
    if not isinstance(error, ModuleNotFoundError) or name in ('', 'tevit_vis'):
        return None
    return f'{name}: the package is missing: pip install {DISTRIBUTIONS.get(name, name)}'
