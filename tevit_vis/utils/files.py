"""Writing files."""

from __future__ import annotations

import json
import os


def write_json(content: object, path: str | os.PathLike) -> None:
    """Write beside, then rename: ``path`` never holds half a file."""
    unfinished = f'{os.fspath(path)}.unfinished'
    with open(unfinished, 'w', encoding='utf-8') as file:
        json.dump(content, file)
    os.replace(unfinished, path)
