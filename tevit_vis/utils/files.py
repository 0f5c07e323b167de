"""Writing files."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable

from tevit_vis.utils.errors import InputError


def check_writable(path: str | os.PathLike) -> None:
    """Make the folder of a file to come, and see that the file can be written there.

    Raises:
        InputError: it cannot.
    """
    path = os.fspath(path)
    folder = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, 'it is a folder')
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f'{path}: output must be writable, but: {error.strerror}') from None


def write_json(content: object, path: str | os.PathLike) -> None:
    """Write beside, then rename: ``path`` never holds half a file."""

    def write(unfinished: str) -> None:
        with open(unfinished, 'w', encoding='utf-8') as file:
            json.dump(content, file)

    write_beside(path, write)


def write_beside(path: str | os.PathLike, write: Callable[[str], object]) -> None:
    """Let ``write`` make a file beside ``path``, then rename it to that: a killed process or a full
    disk leaves what was there before.

    Raises:
        InputError: it cannot be written; nothing half-written stays.
    """
    unfinished = f'{os.fspath(path)}.unfinished'
    try:
        if os.path.lexists(unfinished):
            os.remove(unfinished)  # of a process that was killed
        write(unfinished)
        os.replace(unfinished, path)
    except (OSError, RuntimeError) as error:  # torch.save says RuntimeError of a full disk
        if os.path.lexists(unfinished):
            os.remove(unfinished)
        reason = getattr(error, 'strerror', None) or str(error).splitlines()[0]
        raise InputError(
            f'{os.fspath(path)}: cannot be written: {reason}; what was there before is untouched'
        ) from error
