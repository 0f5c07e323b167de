"""The JSON file of a data set in YouTube-VIS layout, read and checked entry by entry.

Yang et al., "Video Instance Segmentation", ICCV 2019, defines the layout. Training, evaluation and
``tools/data`` all read it here.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from tevit_vis.masks import rle_pixels, to_rle
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import read_json


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


def file_categories(content: Mapping[str, Any], path: str) -> dict[int, str]:
    """The ``categories`` of a file as {id: name}, in its order; empty where it has none.

    Raises:
        InputError: names the first entry that breaks a rule.
    """
    found: dict[int, str] = {}
    entries = content.get('categories') or []
    if not isinstance(entries, list):
        raise InputError(f'{path}: "categories" must be a list, but got {entries!r}')
    for index, entry in enumerate(entries):
        where = f'{path}: categories[{index}]'
        fits = isinstance(entry, dict) and isinstance(entry.get('id'), int)
        if not fits or not isinstance(entry.get('name'), str):
            raise InputError(
                f'{where} must have a number "id" and a text "name", but got {entry!r}'
            )
        if entry['id'] in found:
            raise InputError(f'{where}: "id" must be unique, but {entry["id"]} is not')
        found[entry['id']] = entry['name']
    return found


def annotation_entries(content: Mapping[str, Any], path: str) -> list[dict]:
    """The ``annotations`` of a file; an empty list where there are none.

    Raises:
        InputError: they are no list of objects.
    """
    entries = content.get('annotations') or []
    if not isinstance(entries, list):
        raise InputError(f'{path}: "annotations" must be a list, but got {type(entries).__name__}')
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise InputError(f'{path}: annotations[{index}] must be an object, but got {entry!r}')
    return entries


def check_annotation(
    entry: Mapping[str, Any],
    where: str,
    videos: Container[int],
    categories: Container[int],
    seen: set,
) -> None:
    """The ids of an annotation.

    Args:
        where: names file and entry in errors.
        videos, categories: ids.
        seen: ids of the annotations before; this one's is added.

    Raises:
        InputError: it repeats an id, or names a video or category that is not there.
    """
    own = entry.get('id')
    if own is not None and not isinstance(own, (int, str)):
        raise InputError(f'{where}: "id" must be a number, but got {own!r}')
    if own is not None and own in seen:
        raise InputError(f'{where}: "id" must be unique, but {own!r} is not')
    seen.add(own)
    for key, known, what in (
        ('video_id', videos, 'a video of the file'),
        ('category_id', categories, 'one of the categories'),
    ):
        value = entry.get(key)
        if not isinstance(value, int) or value not in known:
            raise InputError(f'{where}: "{key}" must be {what}, but got {value!r}')


def frame_masks(entry: Mapping[str, Any], video: Video, where: str) -> list[RLE | None]:
    """The masks of an annotation as compressed RLE, one or None per frame of its video.

    Raises:
        InputError: too few or too many, of another size, or neither RLE nor polygons.
    """
    masks = entry.get('segmentations')
    if not isinstance(masks, list) or len(masks) != video.num_frames:
        found = len(masks) if isinstance(masks, list) else repr(masks)
        raise InputError(
            f'{where}: "segmentations" must have one mask or null for each of the '
            f'{video.num_frames} frames of video {video.id}, but got {found}'
        )
    track: list[RLE | None] = []
    for t, mask in enumerate(masks):
        try:
            rle = to_rle(mask, video.height, video.width) if mask else None
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(
                f'{where}: segmentations[{t}] must be RLE, polygons or null, but: {error}'
            ) from None
        if rle and list(rle['size']) != [video.height, video.width]:
            raise InputError(
                f'{where}: segmentations[{t}] must have the size [height, width] of its video, '
                f'{[video.height, video.width]}, but has {list(rle["size"])}'
            )
        track.append(rle)
    return track


def check_runs(track: list[RLE | None], video: Video, where: str) -> None:
    """See that the runs of each mask add up to the pixels of a frame.

    Raises:
        InputError: they do not.
    """
    present = [t for t, rle in enumerate(track) if rle is not None]
    pixels = rle_pixels([rle['counts'] for rle in track if rle is not None])
    for t, count in zip(present, pixels.tolist()):
        if count != video.height * video.width:
            raise InputError(
                f'{where}: segmentations[{t}] must have runs for the {video.width}x{video.height} '
                f'pixels of its video, but they are for {count} pixels'
            )


def frame_values(
    entry: Mapping[str, Any], key: str, size: int, video: Video, where: str
) -> list[Any] | None:
    """A list of an annotation with a value or null per frame, such as ``areas``; None without one.

    Args:
        size: numbers of a value: 1, or 4 of a box.

    Raises:
        InputError: it has another length, or a value that is something else.
    """
    values = entry.get(key)
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != video.num_frames:
        found = len(values) if isinstance(values, list) else repr(values)
        raise InputError(
            f'{where}: "{key}" must have one entry for each of the {video.num_frames} frames of '
            f'video {video.id}, but got {found}'
        )
    for t, value in enumerate(values):
        numbers = [value] if size == 1 else value
        if value is not None and not (
            isinstance(numbers, list)
            and len(numbers) == size
            and all(isinstance(number, (int, float)) for number in numbers)
        ):
            what = 'a number' if size == 1 else f'{size} numbers'
            raise InputError(f'{where}: {key}[{t}] must be {what} or null, but got {value!r}')
    return values
