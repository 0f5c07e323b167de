"""The JSON file of a data set in YouTube-VIS layout, read and checked entry by entry.

Yang et al., "Video Instance Segmentation", ICCV 2019, defines the layout. Training, evaluation and
``tools/data`` all read it here.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

from tevit_vis.annotated_videos import Video
from tevit_vis.mask_checks import rle_faults
from tevit_vis.rle import to_rle
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.json_files import read_json
from tevit_vis.utils.values import is_number, is_whole, shorten


class Note(NamedTuple):
    """Something of an entry that was changed or left out, and is to be said."""

    what: str  # of its kind, the same for all such entries
    where: str  # file and entry


def note_lines(notes: Sequence[Note]) -> list[str]:
    """Returns a line for each kind of notes, with the first entry and how many there are.

    Example:
        >>> note_lines([Note('boxes are odd', 'a.json: annotations[3]')] * 2)
        ['a.json: annotations[3]: boxes are odd (and 1 more)']
    """
    kinds: dict[str, list[str]] = {}
    for note in notes:
        kinds.setdefault(note.what, []).append(note.where)
    return [
        f'{places[0]}: {what}' + (f' (and {len(places) - 1} more)' if len(places) > 1 else '')
        for what, places in kinds.items()
    ]


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
            raise InputError(
                f'{path}: annotations[{index}] must be an object, but got {shorten(entry)}'
            )
    return entries


def check_annotation(
    entry: Mapping[str, Any],
    where: str,
    videos: Container[int],
    categories: Container[int],
    seen: set,
) -> None:
    """The ids of an annotation, and whether it is a crowd.

    Args:
        where: names file and entry in errors.
        videos, categories: ids.
        seen: ids of the annotations before; this one's is added.

    Raises:
        InputError: it repeats an id, or names a video or category that is not there.
    """
    own = entry.get('id')
    if own is not None and not (is_whole(own) or isinstance(own, str)):
        raise InputError(f'{where}: "id" must be a number, but got {shorten(own)}')
    if own is not None and own in seen:
        raise InputError(f'{where}: "id" must be unique, but {shorten(own)} is not')
    seen.add(own)
    for key, known, what in (
        ('video_id', videos, 'a video of the file'),
        ('category_id', categories, 'one of the categories'),
    ):
        value = entry.get(key)
        if not is_whole(value) or value not in known:
            raise InputError(f'{where}: "{key}" must be {what}, but got {shorten(value)}')
    crowd = entry.get('iscrowd', 0)
    if isinstance(crowd, (list, dict)) or crowd not in (0, 1):
        raise InputError(f'{where}: "iscrowd" must be 0 or 1, but got {shorten(crowd)}')


def frame_masks(
    entry: Mapping[str, Any], video: Video, where: str, notes: list[Note] | None = None
) -> list[RLE | None]:
    """The masks of an annotation as compressed RLE, one or None per frame of its video.

    Args:
        notes: gets what is left out of masks.

    Raises:
        InputError: too few or too many, of another size, neither RLE nor polygons, or with runs
            or coordinates that cannot be.
    """
    masks = entry.get('segmentations')
    if not isinstance(masks, list) or len(masks) != video.num_frames:
        found = len(masks) if isinstance(masks, list) else shorten(masks)
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
        if isinstance(mask, list) and notes is not None and any(len(p) < 6 for p in mask):
            notes.append(
                Note(
                    'polygons of less than three points are left out',
                    f'{where}: segmentations[{t}]',
                )
            )
        track.append(rle)
    present = [t for t, rle in enumerate(track) if rle is not None]
    pixels = [video.height * video.width] * len(present)
    texts = [rle['counts'] for rle in track if rle is not None]
    for t, fault in zip(present, rle_faults(texts, pixels)):
        if fault:
            raise InputError(
                f'{where}: segmentations[{t}] must have runs for the {video.width}x{video.height} '
                f'pixels of its video, but: {fault}'
            )
    return track


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
        found = len(values) if isinstance(values, list) else shorten(values)
        raise InputError(
            f'{where}: "{key}" must have one entry for each of the {video.num_frames} frames of '
            f'video {video.id}, but got {found}'
        )
    for t, value in enumerate(values):
        numbers = [value] if size == 1 else value
        if value is not None and not (
            isinstance(numbers, list)
            and len(numbers) == size
            and all(map(is_number, numbers))
            and (size > 1 or value >= 0)
        ):
            what = 'a number' if size == 1 else f'{size} numbers'
            raise InputError(
                f'{where}: {key}[{t}] must be {what} or null, but got {shorten(value)}'
            )
    return values
