"""Override rules of the goldens' manifests."""

from __future__ import annotations


def override(node: dict | list, path: list[str], value: object) -> None:
    """Set a dotted key; ``*`` is every element of a list, ``__len__`` keeps the first ones.

    Lists of two given for ``img_scale`` stand for tuples (w, h).
    """
    part, rest = path[0], path[1:]
    if part == '*':
        for child in node:
            override(child, rest, value)
    elif part == '__len__':
        del node[value:]
    elif rest:
        override(node[int(part) if isinstance(node, list) else part], rest, value)
    else:
        node[part] = _sizes(value) if part == 'img_scale' else value


def _sizes(value: list) -> tuple | list[tuple]:
    """[w, h] as (w, h); a list of such pairs as a list of tuples."""
    return [tuple(pair) for pair in value] if isinstance(value[0], list) else tuple(value)
