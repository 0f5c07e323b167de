"""What formats have in common: how they are read, what is said about it, their registry.

Every format reads to, and writes from, the content of a file in YouTube-VIS layout.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import did_you_mean


class ConversionLog:
    """What a conversion read, dropped and guessed: how often, and the first example of each.

    Example:
        >>> log = ConversionLog()
        >>> for name in ('a', 'b'):
        ...     log.drop('a polyline has no area', name)
        >>> log.lines()
        ['dropped: a polyline has no area (2 times; first: a)']
    """

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], tuple[int, str]] = {}

    def drop(self, reason: str, what: str) -> None:
        """Notes that something was left out.

        Args:
            reason: the same for all of its kind.
            what: names it.
        """
        self._add('dropped', reason, what)

    def guess(self, reason: str, what: str) -> None:
        """Notes that the input did not say something, and what was taken."""
        self._add('guessed', reason, what)

    def _add(self, kind: str, reason: str, what: str) -> None:
        count, first = self.entries.get((kind, reason), (0, what))
        self.entries[kind, reason] = count + 1, first

    def lines(self) -> list[str]:
        """Returns one line for each reason, with its count and the first example."""
        return [
            f'{kind}: {reason} ({count} times; first: {first})'
            for (kind, reason), (count, first) in self.entries.items()
        ]


@dataclass
class ReadOptions:
    """How an input is read.

    Args:
        frames: folder of the frames; file names are relative to it. None where it is not known.
        categories: {id: name}, or None to number the labels of the input in order of their names.
        boxes_as_masks: whether boxes become rectangular masks; otherwise they are dropped.
        log: gets what is dropped and guessed.
        on_video: called after each video.
    """

    frames: str | None = None
    categories: Mapping[int, str] | None = None
    boxes_as_masks: bool = False
    log: ConversionLog = field(default_factory=ConversionLog)
    on_video: Callable[[], object] = lambda: None


def numbered_class(number: int, options: ReadOptions) -> str:
    """Returns the name of a class of which only the number is known.

    Args:
        number: of the class; the table of categories names it, if there is one.
        options: of the conversion; a name that is made up is noted.
    """
    known = options.categories or {}
    if number not in known and options.categories is None:
        options.log.guess('names of classes from their numbers', f'class {number}')
    return known.get(number, f'class {number}')


class Format(ABC):
    """A form in which people hold video instances.

    Attributes:
        name: of the format, as ``--from`` and ``--to`` take it.
        title: what it is, in a few words.
    """

    name: str
    title: str

    @abstractmethod
    def recognises(self, path: str) -> bool:
        """Whether a file or folder looks like this format; it may be damaged all the same."""

    @abstractmethod
    def read(self, path: str, options: ReadOptions) -> dict[str, Any]:
        """Returns the content in YouTube-VIS layout.

        Raises:
            InputError: the input breaks a rule of the format.
        """

    def write(self, content: Mapping[str, Any], path: str, log: ConversionLog) -> None:
        """Writes content in YouTube-VIS layout, whose masks are all compressed RLE.

        Args:
            content: checked.
            path: file or folder to write; it is not there, or is an empty folder.
            log: gets what is dropped.

        Raises:
            InputError: the format cannot hold it, or cannot be written at all.
        """
        raise InputError(f'--to {self.name}: this format can only be read')


FORMATS: dict[str, Format] = {}


def register(form: Format) -> Format:
    """Adds a format to the registry, also one of your own.

    Args:
        form: a later one of the same name replaces it.

    Example:
        >>> register(find_format('ytvis')).name
        'ytvis'
    """
    FORMATS[form.name] = form
    return form


def find_format(name: str) -> Format:
    """Returns the format of a name.

    Raises:
        InputError: there is none.

    Example:
        >>> find_format('cvat').title
        'CVAT for video 1.1 (XML)'
    """
    if name not in FORMATS:
        raise InputError(
            f'format must be one of {", ".join(FORMATS)}, but got {name!r}'
            f'{did_you_mean(name, list(FORMATS))}'
        )
    return FORMATS[name]


def detect_format(path: str) -> Format:
    """Returns the format that a file or folder looks like.

    Raises:
        InputError: it is absent, looks like none, or like several.

    Example:
        >>> detect_format('absent')
        Traceback (most recent call last):
        tevit_vis.utils.errors.InputError: absent: must be there, but is not
    """
    if not os.path.exists(path):
        raise InputError(f'{path}: must be there, but is not')
    found = [form for form in FORMATS.values() if form.recognises(path)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ' or '.join(form.name for form in found)
        raise InputError(f'{path}: looks like {names}: say which with --from')
    raise InputError(f'{path}: looks like none of {", ".join(FORMATS)}')
