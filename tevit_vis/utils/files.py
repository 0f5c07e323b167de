"""Writing files."""

from __future__ import annotations

import errno
import json
import os
import tempfile

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
    unfinished = f'{os.fspath(path)}.unfinished'
    with open(unfinished, 'w', encoding='utf-8') as file:
        json.dump(content, file)
    os.replace(unfinished, path)
