"""Writing files."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tevit_vis.utils.errors import InputError

SURROGATE = re.compile(r'\\u[dD][89a-fA-F]')


def check_writable(path: str | os.PathLike, not_over: Sequence[str | os.PathLike] = ()) -> None:
    """Make the folder of a file to come, and see that the file can be written there.

    Args:
        not_over: inputs that it must not replace.

    Raises:
        InputError: it cannot.
    """
    path = os.fspath(path)
    if os.path.realpath(path) in map(os.path.realpath, not_over):
        raise InputError(f'{path}: output must be another file than the input')
    folder = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, 'it is a folder')
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f'{path}: output must be writable, but: {error.strerror}') from None


def read_json(path: str | os.PathLike, what: str) -> Any:
    """The content of a JSON file.

    Args:
        what: it should be, for errors, e.g. ``'annotation file'``.

    Raises:
        InputError: absent or unreadable.
    """
    try:
        with open(path, encoding='utf-8') as file:
            text = file.read()
        content = json.loads(text)
    except FileNotFoundError:
        raise InputError(f'{path}: {what} must be there, but it is not') from None
    except RecursionError:
        raise InputError(f'{path}: {what} must be JSON, but is nested too deeply') from None
    except (OSError, ValueError) as error:  # text that is no UTF-8, no JSON, numbers too long
        raise InputError(f'{path}: {what} must be JSON, but: {error}') from None
    if SURROGATE.search(text) and not _is_whole_text(content):
        raise InputError(
            f'{path}: {what} must hold whole characters, but has half of one (\\ud...)'
        )
    return content


def _is_whole_text(content: object) -> bool:
    """Whether all texts of a JSON value can be written: an escape may name half a character."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def read_json_lines(path: str | os.PathLike) -> list[Any]:
    """The content of a file with one JSON value per line, such as a training log."""
    with open(path, encoding='utf-8') as file:
        return [json.loads(line) for line in file if line.strip()]


def write_json(content: object, path: str | os.PathLike) -> None:
    """Write beside, then rename: ``path`` never holds half a file."""

    text = json_text(content, path)

    def write(unfinished: str) -> None:
        with open(unfinished, 'w', encoding='utf-8') as file:
            file.write(text)

    write_beside(path, write)


def json_text(content: object, path: str | os.PathLike) -> str:
    """Returns a value as JSON, in which all numbers are finite: no other program reads NaN.

    Args:
        path: the file that it is for, named in errors.

    Raises:
        InputError: a number is NaN or infinite.

    Example:
        >>> json_text({'score': 0.5}, 'results.json')
        '{"score": 0.5}'
    """
    try:
        return json.dumps(content, allow_nan=False)
    except ValueError:
        raise InputError(
            f'{os.fspath(path)}: numbers must be finite, but {_not_finite(content)}; nothing was '
            'written'
        ) from None


def _not_finite(content: object, where: str = '') -> str:
    """Where the first number is that is not finite, and which one."""
    if isinstance(content, float):
        return f'{where or "the value"} is {content}' if not math.isfinite(content) else ''
    items: Iterable = ()
    if isinstance(content, Mapping):
        items = ((f'{where}.{key}' if where else str(key), value) for key, value in content.items())
    elif isinstance(content, (list, tuple)):
        items = ((f'{where}[{number}]', value) for number, value in enumerate(content))
    return next(filter(None, (_not_finite(value, place) for place, value in items)), '')


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
