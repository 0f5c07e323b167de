"""Reads JSON files with one-line errors, and writes them whole and with finite numbers."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import PathLock, UnfinishedFile, write_atomically, writing_faults

Lines = TypeVar('Lines', bound='LinesWriter')
SURROGATE = re.compile(r'\\u[dD][89a-fA-F]')


def read_json(path: str | os.PathLike, what: str) -> Any:
    """Returns the content of a JSON file.

    Args:
        what: what the file should be, for errors, such as ``'annotation file'``.

    Raises:
        InputError: the file is absent, or is no valid JSON.
    """
    try:
        with open(path, encoding='utf-8') as file:
            text = file.read()
        content = json.loads(text)
    except FileNotFoundError:
        raise InputError(f'{path}: {what} must be there, but it is not') from None
    except RecursionError:
        raise InputError(f'{path}: {what} must be JSON, but is nested too deeply') from None
    except (OSError, ValueError) as error:  # no UTF-8, no JSON, or a number with too many digits
        raise InputError(f'{path}: {what} must be JSON, but: {error}') from None
    if SURROGATE.search(text) and not _is_whole_text(content):
        raise InputError(
            f'{path}: {what} must hold whole characters, but has half of one (\\ud...)'
        )
    return content


def _is_whole_text(content: object) -> bool:
    """Whether all texts of a JSON value can be encoded: an escape may be half of a character."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def read_text_lines(path: str | os.PathLike) -> list[str]:
    """Returns the lines of a text file.

    Raises:
        InputError: the file is absent, or is no text in UTF-8.
    """
    try:
        with open(path, encoding='utf-8') as file:
            return file.read().splitlines()
    except UnicodeDecodeError:
        raise InputError(f'{os.fspath(path)}: must be text in UTF-8, but is not') from None
    except OSError as error:
        raise InputError(f'{os.fspath(path)}: cannot be read: {error.strerror}') from None


def read_json_lines(path: str | os.PathLike) -> list[Any]:
    """Returns the values of a file with one JSON value per line, such as a training log."""
    with open(path, encoding='utf-8') as file:
        return [json.loads(line) for line in file if line.strip()]


def write_json(content: object, path: str | os.PathLike) -> None:
    """Writes a value as a JSON file; ``path`` never holds half of it.

    Raises:
        InputError: the file cannot be written, or a number is NaN or infinite.
    """
    text = json_text(content, path)

    def write(unfinished: str) -> None:
        with open(unfinished, 'w', encoding='utf-8') as file:
            file.write(text)

    write_atomically(path, write)


def write_json_set(contents: Mapping[str, object]) -> None:
    """Writes JSON files that belong together; new files never stand next to old ones.

    All are written under other names first. Then the old files are removed, and the new ones
    renamed. So also a killed process leaves no mixture.

    Args:
        contents: value of each file, by path.

    Raises:
        InputError: a file cannot be written; the old files are untouched.
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
    """Returns a value as JSON text; its numbers must be finite, since other programs read no NaN.

    Args:
        path: file that the text is for, named in errors.

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
    """Describes the first number that is not finite and where it is, else an empty text."""
    if isinstance(content, float):
        return f'{where or "the value"} is {content}' if not math.isfinite(content) else ''
    items: Iterable = ()
    if isinstance(content, Mapping):
        items = ((f'{where}.{key}' if where else str(key), value) for key, value in content.items())
    elif isinstance(content, (list, tuple)):
        items = ((f'{where}[{number}]', value) for number, value in enumerate(content))
    return next(filter(None, (_not_finite(value, place) for place, value in items)), '')


class LinesWriter:
    """Writes a text file line by line, as they come; a context manager.

    Args:
        path: path of the file.

    Raises:
        InputError: the file cannot be written, or another process writes it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with writing_faults(path):
            self.file = open(path, 'a', encoding='utf-8')  # noqa: SIM115  (closed at the exit)
            self.lock = PathLock(path)
            if not self.lock.acquire():
                self.file.close()
                raise InputError(
                    f'{path}: must be written by one process at a time, but another one is at it: '
                    'give this one another name'
                )
            self.file.truncate(0)

    def __enter__(self: Lines) -> Lines:
        return self

    def write_line(self, text: str) -> None:
        """Appends a line.

        Raises:
            InputError: the disk is full.
        """
        with writing_faults(self.path, 'the lines before are kept'):
            self.file.write(text + '\n')
            self.file.flush()

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # the disk is full, which ``write_line`` has said
            self.file.close()
        self.lock.release()


class JSONLinesWriter(LinesWriter):
    """Writes a file with one line of JSON for each frame."""

    def write(self, content: dict) -> None:
        """Appends a value as one line.

        Raises:
            InputError: a number is not finite, or the disk is full.
        """
        self.write_line(json_text(content, self.path))
