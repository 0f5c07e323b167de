"""JSON files of other tools: their top-level keys, and their content."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.json_files import read_json
from tevit_vis.utils.values import shorten


@lru_cache(maxsize=1)
def _content(path: str, changed: float) -> Any:
    """Returns the content of a file; the last one is kept, since its kind is looked for first."""
    return read_json(path, 'annotation file')


def read_content(path: str) -> dict[str, Any]:
    """Returns the content of a JSON file, an object.

    Raises:
        InputError: the file is absent, no JSON, or holds something else.
    """
    changed = os.stat(path).st_mtime if os.path.isfile(path) else 0.0
    content = _content(path, changed)
    if not isinstance(content, dict):
        raise InputError(f'{path}: must hold an object, but holds {shorten(content)}')
    return content


def id_of(entry: Mapping[str, Any], key: str, where: str) -> Any:
    """Returns an id of an entry: a number or a text; None where it has none.

    Args:
        entry: of a file.
        key: of the id.
        where: names the entry.

    Raises:
        InputError: the id is a list or an object.

    Example:
        >>> id_of({'track_id': 3}, 'track_id', 'a.json: annotations[0]')
        3
    """
    value = entry.get(key)
    if isinstance(value, (dict, list)):
        raise InputError(f'{where}: "{key}" must be a number or a text, but got {shorten(value)}')
    return value


def json_keys(path: str) -> set[str]:
    """Returns the top-level keys of a JSON file; none for another file."""
    if not path.lower().endswith('.json') or not os.path.isfile(path):
        return set()
    try:
        return set(read_content(path))
    except InputError:
        return set()
