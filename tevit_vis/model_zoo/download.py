"""Fetches a file: whole or not at all, and going on where it was broken off."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tevit_vis.utils.cache import CACHE_VARIABLE
from tevit_vis.utils.console import ProgressBar
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import PathLock, writing_faults

from .table import Weights

TIMEOUT = 30  # seconds without a byte
ATTEMPTS = 3  # connections in one call, each going on where the last one broke off
BLOCK = 1 << 20  # bytes that are read at a time
ZIP_START, PICKLE_START = b'PK', b'\x80'  # of checkpoints, new and old
BROKEN = (http.client.HTTPException, OSError)  # of a connection, while a file is read


def fetch(weights: Weights, path: Path) -> None:
    """Fetches weights into a file, unless it is there.

    The file is written beside its place as ``<path>.part``, and renamed when it was checked. A part
    that is left of an earlier call is gone on with where the hash of the whole file is known.

    Args:
        weights: what to fetch.
        path: the file; its folder is made. If it is there, it is checked.

    Raises:
        InputError: a file that is there is another one, or the address needs a browser or does not
            give the file; the message says what to put where by hand.

    Example:
        >>> import tempfile
        >>> from tevit_vis.model_zoo import find_weights
        >>> weights = find_weights('pretrained/pvt_v2_b1.pth')
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, 'pvt_v2_b1.pth')
        ...     _ = path.write_bytes(b'\\x80')
        ...     fetch(weights, path)  # it is there, so nothing is fetched
    """
    if path.exists():
        fault = file_fault(weights, path)
        if fault:
            raise InputError(f'{path}: {fault}: delete it, or get it again from {weights.address}')
        return
    if weights.needs_browser:
        raise InputError(
            f'{weights.name}: its address needs a browser: get {weights.file} from '
            f'{weights.address} and put it at {path}'
        )
    by_hand = f'or get {weights.file} from {weights.address} and put it at {path}'
    part = Path(f'{path}.part')
    with writing_faults(path, 'what was fetched is kept'):
        part.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        if path.exists():  # another process has fetched it meanwhile
            return
        part.touch()
        try:
            _fetch_part(weights, part, by_hand)
            fault = file_fault(weights, part)
            if fault:
                part.unlink()
                raise InputError(f'{weights.name}: {fault}; it was deleted: ask again, {by_hand}')
            with writing_faults(path):
                os.replace(part, path)
        finally:
            if part.exists() and not part.stat().st_size:
                part.unlink()


def _fetch_part(weights: Weights, part: Path, by_hand: str) -> None:
    """Reads a file into its part, with several attempts.

    Raises:
        InputError: the part is not whole; what is there is kept.
    """
    if not weights.digest:  # nothing would tell that a part is of an older file
        os.truncate(part, 0)
    for attempt in range(ATTEMPTS):
        size, reason = _read_on(weights, part, by_hand)
        if not reason:
            return
        if attempt < ATTEMPTS - 1:
            time.sleep(attempt)
    whole = f' of {size}' if size else ''
    raise InputError(
        f'{weights.name}: broke off after {part.stat().st_size}{whole} bytes ({reason}): ask '
        f'again, {by_hand}'
    )


def file_fault(weights: Weights, path: Path) -> str:
    """Returns why a file cannot be these weights, or an empty text.

    Its hash is compared where it is known; else it must at least begin and end like a checkpoint.
    """
    if not path.is_file():
        return 'must be a file'
    with open(path, 'rb') as file:
        beginning = file.read(8)
    if not beginning:
        return 'must be a checkpoint, but is empty'
    if beginning.startswith(ZIP_START):
        if not zipfile.is_zipfile(path):
            return 'must be a whole checkpoint, but its end is missing'
    elif not beginning.startswith(PICKLE_START):
        return f'must be a checkpoint, but begins with {beginning!r}'
    return digest_fault(weights, path)


def digest_fault(weights: Weights, path: Path) -> str:
    """Returns why a file cannot be these weights, judging by its hash; empty if it can."""
    algorithm, _, expected = weights.digest.partition(':')
    if not expected:
        return ''
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, 'rb') as file:
        while block := file.read(BLOCK):
            digest.update(block)
    found = digest.hexdigest()
    if found.startswith(expected):
        return ''
    return f'its {algorithm} must begin with {expected}, but is {found}'


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits until no other process fetches the file.

    The lock is a file of its own, which stays: others may wait for it.
    """
    lock_file = path.with_name(f'.{path.name}.lock')
    lock_file.touch()
    lock = PathLock(lock_file)
    while not lock.acquire():
        time.sleep(0.2)
    try:
        yield
    finally:
        lock.release()


def _read_on(weights: Weights, part: Path, by_hand: str) -> tuple[int, str]:
    """Reads the rest of a file into its part.

    Returns:
        The size of the whole file, 0 if unknown, and why the part is not whole, or an empty text.

    Raises:
        InputError: the server is not there or has no such file, or the disk is full.
    """
    start = part.stat().st_size
    headers = {'User-Agent': 'tevit_vis', 'Accept-Encoding': 'identity'}
    if start:
        headers['Range'] = f'bytes={start}-'
    try:
        response = urlopen(Request(weights.address, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416 and start:  # there is nothing after the part: it is whole or foreign
            if not digest_fault(weights, part):
                return start, ''
            os.truncate(part, 0)
            return 0, 'the server has no rest of it'
        remedy = 'it has moved' if error.code == 404 else 'ask later'
        raise InputError(
            f'{weights.name}: {weights.address} answers {error.code} '
            f'({first_line(error.reason)}): {remedy}, {by_hand}'
        ) from None
    except (URLError, *BROKEN) as error:
        host = urlsplit(weights.address).netloc
        reason = first_line(getattr(error, 'reason', error))
        raise InputError(
            f'{weights.name}: {host} cannot be reached ({reason}): check the network, {by_hand}'
        ) from None
    with response:
        goes_on = response.status == 206 and _starts_at(response, start)
        start = start if goes_on else 0
        if response.status == 206 and not goes_on:
            os.truncate(part, 0)
            return 0, 'the server gave another part than asked'
        length = response.headers.get('Content-Length') or ''
        rest = int(length) if length.isdigit() else 0
        size = start + rest if rest else 0
        free = shutil.disk_usage(part.parent).free
        if rest > free:
            raise InputError(
                f'{weights.name}: needs {rest >> 20} MB at {part.parent}, but {free >> 20} MB are '
                f'free: make room, or name another folder with {CACHE_VARIABLE}'
            )
        return size, _copy(response, part, start, size, weights.file)


def _starts_at(response: http.client.HTTPResponse, start: int) -> bool:
    """Whether a part of a file begins where it was asked to."""
    return response.headers.get('Content-Range', '').startswith(f'bytes {start}-')


def first_line(reason: object) -> str:
    """Returns the first line of an error.

    Example:
        >>> first_line(OSError('no route\\nto host'))
        'no route'
    """
    return (str(reason).splitlines() or [type(reason).__name__])[0]


def _copy(response: http.client.HTTPResponse, part: Path, start: int, size: int, title: str) -> str:
    """Writes a response behind the first bytes of a part; returns why it is not whole."""
    with (
        writing_faults(part, 'what was fetched is kept'),
        open(part, 'r+b') as file,
        ProgressBar(
            total=size or None, initial=start, unit='B', unit_scale=True, desc=title
        ) as bar,
    ):
        file.truncate(start)
        file.seek(start)
        while True:
            try:
                block = response.read(BLOCK)
            except BROKEN as error:
                return first_line(error)
            if not block:
                break
            file.write(block)
            bar.update(len(block))
        done = file.tell()
    return 'the connection ended' if size and done < size else ''
