"""JSON files: read with every fault in one line, written whole and with finite numbers."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import PathLock, UnfinishedFile, write_beside, writing_faults

SURROGATE = re.compile(r'\\u[dD][89a-fA-F]')


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
    """Write beside, then rename: ``path`` never holds half a file.

    Raises:
        InputError: it cannot be written, or a number is NaN or infinite.
    """
    text = json_text(content, path)

    def write(unfinished: str) -> None:
        with open(unfinished, 'w', encoding='utf-8') as file:
            file.write(text)

    write_beside(path, write)


def write_json_set(contents: Mapping[str, object]) -> None:
    """Write files that belong together: a process that is killed never leaves new ones beside old.

    All are written beside; then the old ones are removed, and the new ones take their names.

    Args:
        contents: by path.

    Raises:
        InputError: one cannot be written; what was there before is untouched.
    """
    files: list[UnfinishedFile] = []
    try:
        for path, content in contents.items():
            files.append(UnfinishedFile(path))
            with writing_faults(path), open(files[-1].path, 'w', encoding='utf-8') as file:
                file.write(json_text(content, path))
        for path in contents:
            if os.path.lexists(path):
                os.remove(path)
        for unfinished in files:
            unfinished.publish()
    finally:
        for unfinished in files:
            unfinished.discard()


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


class JSONLines:
    """A file with a line of JSON for each frame, which grows as they come; a context manager.

    Args:
        path: of the file.

    Raises:
        InputError: it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with writing_faults(path):
            self.file = open(path, 'a', encoding='utf-8')  # noqa: SIM115  (closed at the exit)
            self.lock = PathLock(path)
            if not self.lock.take():
                self.file.close()
                raise InputError(
                    f'{path}: must be written by one process at a time, but another one is at it: '
                    'give this one another name'
                )
            self.file.truncate(0)

    def __enter__(self) -> JSONLines:
        return self

    def write(self, content: dict) -> None:
        """Append a line.

        Raises:
            InputError: a number is not finite, or the disk is full.
        """
        with writing_faults(self.path, 'the lines before are kept'):
            self.file.write(json_text(content, self.path) + '\n')
            self.file.flush()

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # of a full disk, which was told
            self.file.close()
        self.lock.release()
