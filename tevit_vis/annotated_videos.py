"""Reads the videos and categories of an annotation file and checks them entry by entry."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tevit_vis.mask_checks import MAX_PIXELS, check_size
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import is_whole_number, shorten


@dataclass(frozen=True)
class Video:
    """A video of the data set.

    Its file names are kept in one string. Loader workers are forked, and each Python object that
    they touch is copied.
    """

    id: int
    joined_names: str  # file names, relative to the image folder, in order of time, NUL between
    num_frames: int
    height: int
    width: int

    @property
    def file_names(self) -> list[str]:
        """The file names of the frames, relative to the image folder, in order of time."""
        return self.joined_names.split('\0')

    @property
    def name(self) -> str:
        """The folder of the frames, or the id of the video if they lie in no folder."""
        return os.path.dirname(self.file_names[0]) or str(self.id)


def parse_videos(content: dict, path: str) -> list[Video]:
    """Checks the ``videos`` of an annotation file and returns them.

    Raises:
        InputError: names the first entry that breaks a rule.

    Example:
        >>> entry = dict(id=3, width=64, height=48, file_names=['cat/0.jpg', 'cat/1.jpg'])
        >>> (video,) = parse_videos({'videos': [entry]}, 'a.json')
        >>> video.name, video.num_frames
        ('cat', 2)
    """
    entries = content.get('videos')
    fault = other_layout_message(content)
    if fault:
        raise InputError(f'{path}: {fault}')
    if not isinstance(entries, list) or not entries:
        got = 'an empty list' if entries == [] else type(entries).__name__
        raise InputError(f'{path}: "videos" must be a list with at least one video, but got {got}')
    videos: dict[int, Video] = {}
    for index, entry in enumerate(entries):
        video = parse_video(entry, f'{path}: videos[{index}]')
        if video.id in videos:
            raise InputError(f'{path}: videos[{index}]: "id" must be unique, but {video.id} is not')
        videos[video.id] = video
    return list(videos.values())


def other_layout_message(content: Mapping[str, Any]) -> str:
    """Returns what a file in another layout is, and what to do with it.

    The text is empty for a file that is, or may be, in YouTube-VIS layout.

    Example:
        >>> other_layout_message({'images': [{'id': 1}], 'annotations': []}).partition(':')[0]
        'is a COCO file of images'
    """
    videos, images = content.get('videos'), content.get('images')
    first_video = videos[0] if isinstance(videos, list) and videos else None
    has_names = isinstance(first_video, Mapping) and 'file_names' in first_video
    if isinstance(images, list) and isinstance(videos, list) and not has_names:
        return (
            'is a CocoVID file (images with "video_id"): it must be in YouTube-VIS layout, with '
            'the "file_names" of each video and the "segmentations" of each track'
        )
    if isinstance(images, list) and images and not videos:
        return (
            'is a COCO file of images: to train on them as videos of one frame, or as clips of '
            'random views, add --cfg-options data.train.type=CocoImageDataset (or CocoClipDataset)'
        )
    if 'shapes' in content and 'imagePath' in content:
        return 'is a labelme file of one image: it must be in YouTube-VIS layout'
    if '_via_img_metadata' in content:
        return 'is a VIA project: it must be in YouTube-VIS layout'
    return ''


def parse_video(entry: object, where: str) -> Video:
    """Checks one entry of ``videos`` and returns the video.

    Args:
        where: names file and entry in errors.

    Raises:
        InputError: the entry breaks a rule.
    """
    if not isinstance(entry, dict):
        raise InputError(f'{where} must be an object, but got {shorten(entry)}')
    if not is_whole_number(entry.get('id')):
        got = shorten(entry.get('id'))
        raise InputError(f'{where}: "id" must be a whole number, but got {got}')
    for key in ('width', 'height'):
        if not is_whole_number(entry.get(key)) or entry[key] < 1:
            got = shorten(entry.get(key))
            raise InputError(f'{where}: "{key}" must be a whole number, but got {got}')
    try:
        check_size([entry['height'], entry['width']])
    except ValueError:
        got = f'{shorten(entry["width"])} and {shorten(entry["height"])}'
        raise InputError(
            f'{where}: "width" and "height" must make at most {MAX_PIXELS} pixels, but are {got}'
        ) from None
    names = entry.get('file_names')
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise InputError(
            f'{where}: "file_names" must be a list of file names, one per frame, '
            f'but got {shorten(names)}'
        )
    if entry.get('length', len(names)) != len(names):
        raise InputError(
            f'{where}: "length" must be the number of file_names, {len(names)}, '
            f'but got {shorten(entry["length"])}'
        )
    names = [name.replace('\\', '/') for name in names]  # Windows paths
    for t, name in enumerate(names):
        if '\0' in name or name.startswith('/') or '..' in name.split('/'):
            raise InputError(
                f'{where}: file_names[{t}] must lie in the image folder, but is {shorten(name)}'
            )
    return Video(entry['id'], '\0'.join(names), len(names), entry['height'], entry['width'])


def file_categories(content: Mapping[str, Any], path: str) -> dict[int, str]:
    """Returns the ``categories`` of a file as {id: name}, in the order of the file.

    The dict is empty if the file has none.

    Raises:
        InputError: names the first entry that breaks a rule.

    Example:
        >>> file_categories({'categories': [{'id': 3, 'name': 'cat'}]}, 'a.json')
        {3: 'cat'}
    """
    categories: dict[int, str] = {}
    entries = content.get('categories') or []
    if not isinstance(entries, list):
        raise InputError(f'{path}: "categories" must be a list, but got {shorten(entries)}')
    id_of_name: dict[str, int] = {}
    for index, entry in enumerate(entries):
        where = f'{path}: categories[{index}]'
        has_id = isinstance(entry, dict) and is_whole_number(entry.get('id'))
        if not has_id or not isinstance(entry.get('name'), str):
            raise InputError(
                f'{where} must have a number "id" and a text "name", but got {shorten(entry)}'
            )
        if entry['name'] in id_of_name:
            raise InputError(
                f'{where}: "name" must be unique, but {shorten(entry["name"])} is also that of '
                f'category {id_of_name[entry["name"]]}'
            )
        id_of_name[entry['name']] = entry['id']
        if entry['id'] in categories:
            raise InputError(f'{where}: "id" must be unique, but {entry["id"]} is not')
        categories[entry['id']] = entry['name']
    return categories
