"""The folder in which fetched weights are kept."""

from __future__ import annotations

import os
from pathlib import Path

from tevit_vis.utils.errors import InputError

CACHE_VARIABLE = 'TEVIT_VIS_CACHE'


def cache_folder() -> Path:
    """Returns the folder of fetched weights: ``$TEVIT_VIS_CACHE`` or ``~/.cache/tevit_vis``.

    Raises:
        InputError: the variable names the home of a user who is not known.

    Example:
        >>> cache_folder().name
        'checkpoints'
    """
    root = os.environ.get(CACHE_VARIABLE) or '~/.cache/tevit_vis'
    try:
        return Path(root).expanduser() / 'checkpoints'
    except RuntimeError:
        raise InputError(
            f'{CACHE_VARIABLE}: must be a folder, but the home in {root} is not known'
        ) from None
