"""Collects videos and tracks of other forms, and gives them in YouTube-VIS layout."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import count
from typing import Any

from tevit_vis.annotated_videos import Video
from tevit_vis.rle import mask_areas, mask_boxes
from tevit_vis.structures import RLE

from .base import ConversionLog


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
