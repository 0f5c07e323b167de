"""Hashes of files."""

from __future__ import annotations

import hashlib
import os

CHUNK = 1 << 20  # bytes that are read at a time


def file_digest(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a file, as hexadecimal text."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()
