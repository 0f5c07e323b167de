"""CVAT for video 1.1: an XML file with tracks of polygons, masks and boxes.

https://docs.cvat.ai/docs/manual/advanced/xml_format/ describes the format.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tevit_vis.annotated_videos import parse_videos
from tevit_vis.utils.errors import InputError

from .base import ConversionLog, Format, ReadOptions, register
from .builder import ContentBuilder, video_names
from .cvat_reader import FileReader
from .cvat_writer import mask_shape, num_parts, polygon_shape, write_file

FIRST_BYTES = 4096  # of a file, in which its kind is looked for


class CVAT(Format):
    """Reads and writes CVAT for video 1.1, files and folders of files."""

    name = 'cvat'
    title = 'CVAT for video 1.1 (XML)'
    shape_of: staticmethod = staticmethod(mask_shape)

    def recognises(self, path: str) -> bool:
        """Whether it is an XML file with annotations, or a folder with one."""
        return any(_starts_like_cvat(file) for file in _xml_files(path)[:1])

    def read(self, path: str, options: ReadOptions) -> dict[str, Any]:
        """Returns the tracks of a file, or of all XML files of a folder.

        Raises:
            InputError: a file is no CVAT for video, or breaks a rule.
        """
        builder = ContentBuilder(options.categories, options.log)
        files = _xml_files(path)
        if not files:
            raise InputError(f'{path}: must be an XML file or a folder with some, but is not')
        for file in files:
            FileReader(file, builder, options).read()
            options.on_video()
        return builder.content()

    def write(self, content: Mapping[str, Any], path: str, log: ConversionLog) -> None:
        """Writes one file, with a task per video; or a file per video where ``path`` is no .xml."""
        videos = parse_videos(dict(content), path)
        names = video_names(content, videos)
        labels = {entry['id']: entry['name'] for entry in content['categories']}
        tracks: dict[int, list[Mapping[str, Any]]] = {video.id: [] for video in videos}
        for entry in content['annotations']:
            tracks[entry['video_id']].append(entry)
        if Path(path).suffix.lower() == '.xml':
            write_file(path, videos, names, labels, tracks, self.shape_of)
            return
        os.makedirs(path, exist_ok=True)
        for video in videos:
            file = Path(path, names[video.id].replace('/', '_')).as_posix() + '.xml'
            write_file(file, [video], names, labels, tracks, self.shape_of)


class CVATPolygons(CVAT):
    """Writes polygons, whose corners can be moved in CVAT; reads what ``CVAT`` reads."""

    name = 'cvat-polygons'
    title = 'CVAT for video 1.1 (XML), written as polygons'
    shape_of = staticmethod(polygon_shape)

    def recognises(self, path: str) -> bool:
        """Leaves all files to ``CVAT``."""
        return False

    def write(self, content: Mapping[str, Any], path: str, log: ConversionLog) -> None:
        """Writes the outline of each mask's largest part."""
        for entry in content['annotations']:
            for t, mask in enumerate(entry['segmentations']):
                if mask is not None and num_parts(mask) > 1:
                    where = f'annotation {entry["id"]}, frame {t}'
                    log.drop('parts and holes of a mask but its largest part', where)
        super().write(content, path, log)


def _xml_files(path: str) -> list[str]:
    """Returns the XML files that a path stands for."""
    if os.path.isdir(path):
        return [str(file) for file in sorted(Path(path).glob('*.xml'))]
    return [path] if Path(path).suffix.lower() == '.xml' else []


def _starts_like_cvat(path: str) -> bool:
    with open(path, 'rb') as file:
        return b'<annotations' in file.read(FIRST_BYTES)


register(CVAT())
register(CVATPolygons())
