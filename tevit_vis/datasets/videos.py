"""The JSON file of a data set in YouTube-VIS layout: its videos and categories.

Yang et al., "Video Instance Segmentation", ICCV 2019, defines the layout.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import read_json

from .categories import category_table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Video:
    """A video of the data set.

    Its file names are held as one text: loader workers touch no more objects than they need.
    """

    id: int
    names: str  # relative to the image folder, in order of time, with NUL between
    num_frames: int
    height: int
    width: int

    @property
    def file_names(self) -> list[str]:
        """Of the frames, relative to the image folder, in order of time."""
        return self.names.split('\0')

    @property
    def name(self) -> str:
        """The folder of its frames, or its id."""
        return os.path.dirname(self.file_names[0]) or str(self.id)


def read_annotation_file(path: str) -> dict:
    """A JSON file whose top level is a dict.

    Raises:
        InputError: absent, unreadable, or something else.
    """
    content = read_json(path, 'annotation file')
    if not isinstance(content, dict):
        raise InputError(
            f'{path}: YouTube-VIS JSON must be an object with "videos", '
            f'but got a {type(content).__name__}'
        )
    return content


def parse_videos(content: dict, path: str) -> list[Video]:
    """The ``videos`` of an annotation file, checked.

    Raises:
        InputError: names the first entry that breaks a rule.
    """
    entries = content.get('videos')
    if not isinstance(entries, list) or not entries:
        found = 'an empty list' if entries == [] else type(entries).__name__
        raise InputError(
            f'{path}: "videos" must be a list with at least one video, but got {found}'
        )
    videos: dict[int, Video] = {}
    for index, entry in enumerate(entries):
        video = parse_video(entry, f'{path}: videos[{index}]')
        if video.id in videos:
            raise InputError(f'{path}: videos[{index}]: "id" must be unique, but {video.id} is not')
        videos[video.id] = video
    return list(videos.values())


def parse_video(entry: object, where: str) -> Video:
    """One entry of ``videos``, checked.

    Args:
        where: names file and entry in errors.

    Raises:
        InputError: it breaks a rule.
    """
    if not isinstance(entry, dict):
        raise InputError(f'{where} must be an object, but got {entry!r}')
    for key in ('id', 'width', 'height'):
        if not isinstance(entry.get(key), int) or (key != 'id' and entry[key] < 1):
            raise InputError(f'{where}: "{key}" must be a whole number, but got {entry.get(key)!r}')
    names = entry.get('file_names')
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise InputError(
            f'{where}: "file_names" must be a list of file names, one per frame, but got {names!r}'
        )
    if entry.get('length', len(names)) != len(names):
        raise InputError(
            f'{where}: "length" must be the number of file_names, {len(names)}, '
            f'but got {entry["length"]!r}'
        )
    return Video(entry['id'], '\0'.join(names), len(names), entry['height'], entry['width'])


def choose_categories(content: dict, path: str, name: str | None) -> dict[int, str]:
    """{category id: class name} in label order: of the named table, or else of the file.

    Raises:
        InputError: no table of that name, or the file's categories break the layout.
    """
    own = {}
    entries = content.get('categories') or []
    if not isinstance(entries, list):
        raise InputError(f'{path}: "categories" must be a list, but got {entries!r}')
    for index, entry in enumerate(entries):
        fits = isinstance(entry, dict) and isinstance(entry.get('id'), int)
        if not fits or not isinstance(entry.get('name'), str):
            raise InputError(
                f'{path}: categories[{index}] must have a number "id" and a text "name", '
                f'but got {entry!r}'
            )
        own[entry['id']] = entry['name']
    if name is None:
        if not own:
            raise InputError(
                f'{path}: "categories" must not be empty when the config names none '
                '(data.<split>.categories)'
            )
        return own
    try:
        table = category_table(name)
    except ValueError as error:
        raise InputError(f'data.<split>.{error}') from None
    if any(table.get(category) != own[category] for category in own):
        logger.warning(
            '%s: its categories are not those of %s, which the config names: '
            'category ids in the results will be those of %s',
            path,
            name,
            name,
        )
    return table
