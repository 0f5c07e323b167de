"""Reads the JSON file of a data set in YouTube-VIS layout and checks it entry by entry.

Yang et al., "Video Instance Segmentation", ICCV 2019, defines the layout. Training, evaluation and
``data_tools`` all read annotations with these functions.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

from tevit_vis.annotated_videos import Video, file_categories
from tevit_vis.mask_checks import rle_faults
from tevit_vis.rle import to_rle
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.json_files import read_json
from tevit_vis.utils.values import is_number, is_whole_number, shorten


class EntryWarning(NamedTuple):
    """A warning that a part of an entry was changed or left out."""

    what: str  # the text of the warning, the same for all entries of its kind
    where: str  # names file and entry


def warning_lines(notes: Sequence[EntryWarning]) -> list[str]:
    """Returns one line per kind of note: its first entry, its text and how many more there are.

    Example:
        >>> warning_lines([EntryWarning('boxes are odd', 'a.json: annotations[3]')] * 2)
        ['a.json: annotations[3]: boxes are odd (and 1 more)']
    """
    places_by_text: dict[str, list[str]] = {}
    for note in notes:
        places_by_text.setdefault(note.what, []).append(note.where)
    return [
        f'{places[0]}: {what}' + (f' (and {len(places) - 1} more)' if len(places) > 1 else '')
        for what, places in places_by_text.items()
    ]


def read_annotation_file(path: str) -> dict:
    """Reads an annotation file and checks that its top level is an object.

    Raises:
        InputError: the file is absent or unreadable, or its top level is something else.
    """
    content = read_json(path, 'annotation file')
    if not isinstance(content, dict):
        raise InputError(
            f'{path}: YouTube-VIS JSON must be an object with "videos", '
            f'but got a {type(content).__name__}'
        )
    return content


def read_categories(path: str) -> dict[int, str]:
    """Reads the categories of a file as {id: name}: its ``categories``, or itself if it is a list.

    Raises:
        InputError: the file is absent or unreadable, an entry breaks a rule, or there is none.
    """
    content = read_json(path, 'file of categories')
    if isinstance(content, list):
        content = {'categories': content}
    if not isinstance(content, dict):
        raise InputError(f'{path}: must hold "categories", but holds {shorten(content)}')
    categories = file_categories(content, path)
    if not categories:
        raise InputError(f'{path}: "categories" must not be empty, but is')
    return categories


def annotation_entries(content: Mapping[str, Any], path: str) -> list[dict]:
    """Returns the ``annotations`` of a file, or an empty list if it has none.

    Raises:
        InputError: they are not a list of objects.

    Example:
        >>> annotation_entries({'annotations': [{'id': 1}]}, 'a.json')
        [{'id': 1}]
    """
    entries = content.get('annotations') or []
    if not isinstance(entries, list):
        raise InputError(f'{path}: "annotations" must be a list, but got {type(entries).__name__}')
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise InputError(
                f'{path}: annotations[{index}] must be an object, but got {shorten(entry)}'
            )
    return entries


def check_annotation(
    entry: Mapping[str, Any],
    where: str,
    videos: Container[int],
    categories: Container[int],
    used_ids: set,
) -> None:
    """Checks the ids of an annotation and its ``iscrowd``.

    Args:
        where: names file and entry in errors.
        videos, categories: the ids that the annotation may refer to.
        used_ids: ids of the annotations before it; the id of this one is added.

    Raises:
        InputError: its id is used already, its video or category does not exist, or ``iscrowd``
            is neither 0 nor 1.
    """
    entry_id = entry.get('id')
    if entry_id is not None and not (is_whole_number(entry_id) or isinstance(entry_id, str)):
        raise InputError(f'{where}: "id" must be a number, but got {shorten(entry_id)}')
    if entry_id is not None and entry_id in used_ids:
        raise InputError(f'{where}: "id" must be unique, but {shorten(entry_id)} is not')
    used_ids.add(entry_id)
    for key, allowed, what in (
        ('video_id', videos, 'a video of the file'),
        ('category_id', categories, 'one of the categories'),
    ):
        value = entry.get(key)
        if not is_whole_number(value) or value not in allowed:
            raise InputError(f'{where}: "{key}" must be {what}, but got {shorten(value)}')
    iscrowd = entry.get('iscrowd', 0)
    if isinstance(iscrowd, (list, dict)) or iscrowd not in (0, 1):
        raise InputError(f'{where}: "iscrowd" must be 0 or 1, but got {shorten(iscrowd)}')


def parse_segmentations(
    entry: Mapping[str, Any], video: Video, where: str, notes: list[EntryWarning] | None = None
) -> list[RLE | None]:
    """Returns the masks of an annotation as compressed RLE, one or None per frame of its video.

    Args:
        notes: a note is added for each mask of which polygons are left out.

    Raises:
        InputError: there is not one mask or null per frame, or a mask has another size than the
            video, is neither RLE nor polygons, or has impossible runs or coordinates.
    """
    masks = entry.get('segmentations')
    if not isinstance(masks, list) or len(masks) != video.num_frames:
        got = len(masks) if isinstance(masks, list) else shorten(masks)
        raise InputError(
            f'{where}: "segmentations" must have one mask or null for each of the '
            f'{video.num_frames} frames of video {video.id}, but got {got}'
        )
    rles: list[RLE | None] = []
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
        if isinstance(mask, list) and notes is not None and any(len(p) < 6 for p in mask):
            notes.append(
                EntryWarning(
                    'polygons of less than three points are left out',
                    f'{where}: segmentations[{t}]',
                )
            )
        rles.append(rle)
    mask_frames = [t for t, rle in enumerate(rles) if rle is not None]
    pixels = [video.height * video.width] * len(mask_frames)
    counts = [rle['counts'] for rle in rles if rle is not None]
    for t, fault in zip(mask_frames, rle_faults(counts, pixels)):
        if fault:
            raise InputError(
                f'{where}: segmentations[{t}] must have runs for the {video.width}x{video.height} '
                f'pixels of its video, but: {fault}'
            )
    return rles


def parse_frame_values(
    entry: Mapping[str, Any], key: str, size: int, video: Video, where: str
) -> list[Any] | None:
    """Returns a list of an annotation with a value or null per frame, such as ``areas``.

    It returns None if the annotation has no such list.

    Args:
        key: of the list.
        size: how many numbers a value has: 1, or 4 for a box.

    Raises:
        InputError: the list does not have one entry per frame, or a value is something else.
    """
    values = entry.get(key)
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != video.num_frames:
        got = len(values) if isinstance(values, list) else shorten(values)
        raise InputError(
            f'{where}: "{key}" must have one entry for each of the {video.num_frames} frames of '
            f'video {video.id}, but got {got}'
        )
    for t, value in enumerate(values):
        numbers = [value] if size == 1 else value
        if value is not None and not (
            isinstance(numbers, list)
            and len(numbers) == size
            and all(map(is_number, numbers))
            and (size > 1 or value >= 0)  # areas are not negative
        ):
            expected = 'a number' if size == 1 else f'{size} numbers'
            raise InputError(
                f'{where}: {key}[{t}] must be {expected} or null, but got {shorten(value)}'
            )
    return values
