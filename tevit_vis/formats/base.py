"""What formats have in common: the content that they give, what is said about it, their registry.

Every format reads to, and writes from, the content of a file in YouTube-VIS layout.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tevit_vis.annotated_videos import Video
from tevit_vis.rle import mask_areas, mask_boxes
from tevit_vis.structures import RLE
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


class ContentBuilder:
    """Collects videos and tracks, and gives them in YouTube-VIS layout.

    Args:
        categories: {id: name}, or None to number the labels in order of their names.
        log: gets the tracks that are dropped.

    Example:
        >>> builder = ContentBuilder(None, ConversionLog())
        >>> video = builder.add_video('a', 4, 3, ['a/0.jpg'])
        >>> builder.add_track(video, 'cat', {0: {'size': [3, 4], 'counts': '723'}}, 'track 1')
        >>> content = builder.content()
        >>> content['categories'], content['annotations'][0]['areas']
        ([{'id': 1, 'name': 'cat'}], [2])
    """

    def __init__(self, categories: Mapping[int, str] | None, log: ConversionLog) -> None:
        self.categories = categories
        self.log = log
        self.videos: list[dict[str, Any]] = []
        self.names: set[str] = set()
        self.tracks: list[tuple[int, str, list[RLE | None], dict[str, Any]]] = []
        self.labels: set[str] = set()

    def add_video(self, name: str, width: int, height: int, file_names: Sequence[str]) -> int:
        """Adds a video and returns its id; a second one of a name gets a number behind it."""
        if name in self.names:
            self.log.guess('a number behind the name of a second video of that name', name)
            name = _next_name(name, self.names)
        self.names.add(name)
        self.videos.append(
            {
                'id': len(self.videos) + 1,
                'name': name,
                'width': width,
                'height': height,
                'length': len(file_names),
                'file_names': list(file_names),
            }
        )
        return len(self.videos)

    def add_label(self, name: str) -> None:
        """Adds a category that may have no track."""
        self.labels.add(name)

    def add_track(
        self, video: int, label: str, masks: Mapping[int, RLE], what: str, **fields: object
    ) -> None:
        """Adds a track.

        Args:
            video: id of ``add_video``.
            label: name of its category.
            masks: {frame: mask}; empty ones are left out.
            what: names the track where it is dropped.
            fields: more keys of the annotation, such as ``iscrowd``.
        """
        length = self.videos[video - 1]['length']
        if beyond := [t for t in masks if not 0 <= t < length]:
            self.log.drop(
                'a mask lies beyond the frames of its video', f'{what}, frame {beyond[0]}'
            )
        track = [masks.get(t) for t in range(length)]
        areas = mask_areas(track)
        track = [mask if area else None for mask, area in zip(track, areas)]
        if not areas.any():
            self.log.drop('a track without any pixel', what)
        elif self.categories is not None and label not in self.categories.values():
            self.log.drop(f'the label {label!r} is not in the table of categories', what)
        else:
            self.labels.add(label)
            self.tracks.append((video, label, track, dict(fields)))

    def content(self) -> dict[str, Any]:
        """Returns videos, categories and annotations."""
        names = self.categories or dict(enumerate(sorted(self.labels), start=1))
        id_of = {name: key for key, name in names.items()}
        annotations: list[dict[str, Any]] = []
        for video, label, masks, fields in self.tracks:
            areas, boxes = mask_areas(masks).tolist(), mask_boxes(masks).tolist()
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'video_id': video,
                    'category_id': id_of[label],
                    'iscrowd': 0,
                    'segmentations': masks,
                    'areas': [a if m else None for a, m in zip(areas, masks)],
                    'bboxes': [b if m else None for b, m in zip(boxes, masks)],
                    **fields,
                }
            )
        return {
            'videos': self.videos,
            'categories': [{'id': key, 'name': name} for key, name in names.items()],
            'annotations': annotations,
        }


def video_names(content: Mapping[str, Any], videos: Sequence[Video]) -> dict[int, str]:
    """Returns {video id: name}, each once, to be written.

    A name is that of the file, else the folder of the frames, else the id; a second one gets a
    number behind it.

    Args:
        content: in YouTube-VIS layout.
        videos: of the content.
    """
    names: dict[int, str] = {}
    used: set[str] = set()
    for entry, video in zip(content['videos'], videos):
        name = entry.get('name')
        name = name if isinstance(name, str) and name else video.name
        names[video.id] = name if name not in used else _next_name(name, used)
        used.add(names[video.id])
    return names


def _next_name(name: str, used: Container[str]) -> str:
    """Returns a name with the first number behind it that makes it a new one."""
    return next(new for number in count(2) if (new := f'{name}_{number}') not in used)
