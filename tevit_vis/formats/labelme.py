"""labelme: a JSON file per frame, with shapes and, for tracks, a ``group_id``."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tevit_vis.mask_checks import check_size
from tevit_vis.rle import decode_rle, encode_array, to_rle
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import is_number, shorten
from tevit_vis.video.image_sources import natural_key

from .base import Format, ReadOptions, register
from .builder import ContentBuilder
from .index_images import list_folders
from .json_input import id_of, json_keys, read_content

CIRCLE_POINTS = 72


class Labelme(Format):
    """Reads folders of labelme files."""

    name = 'labelme'
    title = 'labelme: a folder of JSON files, one per frame'

    def recognises(self, path: str) -> bool:
        """Whether it is a folder of JSON files with shapes, or of folders with some."""
        first = next((files[0] for _, files in _videos(path)), None)
        return first is not None and {'shapes', 'imagePath'} <= json_keys(str(first))

    def read(self, path: str, options: ReadOptions) -> dict[str, Any]:
        """Returns the tracks.

        Shapes of one label and ``group_id`` are one track, and several of them in a frame are its
        parts. Without ``group_id``, a label that no frame has twice is a track.

        Raises:
            InputError: a file breaks a rule.
        """
        builder = ContentBuilder(options.categories, options.log)
        videos = list(_videos(path))
        if not videos:
            raise InputError(f'{path}: must be a folder with JSON files of labelme, but is not')
        for name, files in videos:
            _read_video(name, files, path, builder, options)
            options.on_video()
        return builder.content()


def _videos(path: str) -> Iterator[tuple[str, list[Path]]]:
    """Yields name and files of each video: the folders of a folder, or the folder itself."""
    root = Path(path)
    if not root.is_dir():
        return
    folders = [root] if any(root.glob('*.json')) else list_folders(root)
    for folder in folders:
        files = sorted(folder.glob('*.json'), key=lambda file: natural_key(file.name))
        if files:
            yield folder.resolve().name, files


def _read_video(
    name: str, files: list[Path], path: str, builder: ContentBuilder, options: ReadOptions
) -> None:
    """Adds the video of a folder and its tracks."""
    frames = [read_content(str(file)) for file in files]
    size = _size_of(frames, files)
    is_nested = Path(path).resolve() != files[0].parent.resolve()
    prefix = f'{name}/' if is_nested else ''
    images = [prefix + _image_name(frame, file) for frame, file in zip(frames, files)]
    video = builder.add_video(name, size[1], size[0], images)
    shapes = [
        (t, index, shape)
        for t, frame in enumerate(frames)
        for index, shape in enumerate(_shapes(frame, files[t]))
    ]
    repeated = _repeated_labels(shapes)
    tracks: dict[object, dict[int, RLE]] = {}
    labels: dict[object, tuple[str, str]] = {}
    for t, index, shape in shapes:
        where = f'{files[t]}: shapes[{index}]'
        label = shape.get('label')
        if not isinstance(label, str) or not label:
            raise InputError(f'{where}: "label" must be a text, but got {shorten(label)}')
        group = id_of(shape, 'group_id', where)
        key: object = label, group
        if group is None and label in repeated:
            options.log.guess('shapes without "group_id" are tracks of one frame', where)
            key = label, None, t, index
        elif group is None:
            options.log.guess('a label without "group_id" is one track through the video', where)
        mask = _mask_of(shape, size, where, options)
        if mask is None:
            continue
        labels.setdefault(key, (label, where))
        known = tracks.setdefault(key, {}).get(t)
        tracks[key][t] = mask if known is None else _joined(known, mask)
    for key, masks in tracks.items():
        builder.add_track(video, labels[key][0], masks, labels[key][1])


def _size_of(frames: list[dict[str, Any]], files: list[Path]) -> tuple[int, int]:
    """Returns (height, width) of a video.

    Raises:
        InputError: a frame does not say it, or another one.
    """
    first: tuple[int, int] | None = None
    for frame, file in zip(frames, files):
        try:
            size = check_size([frame.get('imageHeight'), frame.get('imageWidth')])
        except ValueError as error:
            raise InputError(f'{file}: imageHeight and imageWidth: {error}') from None
        if first is not None and size != first:
            raise InputError(
                f'{file}: must be {first[1]}x{first[0]} as the frames before it, but is '
                f'{size[1]}x{size[0]}'
            )
        first = size
    assert first is not None, 'a video has frames'
    return first


def _image_name(frame: Mapping[str, Any], file: Path) -> str:
    name = frame.get('imagePath')
    if not isinstance(name, str) or not name:
        raise InputError(f'{file}: "imagePath" must be a text, but got {shorten(name)}')
    return name.replace('\\', '/').rpartition('/')[2]


def _shapes(frame: Mapping[str, Any], file: Path) -> list[dict[str, Any]]:
    shapes = frame.get('shapes')
    if not isinstance(shapes, list) or not all(isinstance(each, dict) for each in shapes):
        raise InputError(f'{file}: "shapes" must be a list of objects, but got {shorten(shapes)}')
    return shapes


def _repeated_labels(shapes: list[tuple[int, int, dict[str, Any]]]) -> set[str]:
    """Returns the labels without a group that a frame has twice."""
    seen: set[tuple[int, str]] = set()
    repeated: set[str] = set()
    for t, _, shape in shapes:
        if shape.get('group_id') is None:
            key = t, str(shape.get('label'))
            if key in seen:
                repeated.add(str(shape.get('label')))
            seen.add(key)
    return repeated


def _mask_of(
    shape: Mapping[str, Any], size: tuple[int, int], where: str, options: ReadOptions
) -> RLE | None:
    """Returns the mask of a shape; None where it has no area."""
    kind = id_of(shape, 'shape_type', where) or 'polygon'
    points = shape.get('points')
    if not isinstance(points, list) or not all(
        isinstance(point, list) and len(point) == 2 and all(map(is_number, point))
        for point in points
    ):
        raise InputError(f'{where}: "points" must be a list of [x, y], but got {shorten(points)}')
    needed = {'polygon': 3, 'rectangle': 2, 'circle': 2, 'mask': 2}.get(kind)
    if needed is None:
        options.log.drop(f'a {kind}, which has no area', where)
        return None
    if len(points) < needed:
        options.log.drop(f'a {kind} of less than {needed} points', where)
        return None
    if kind == 'rectangle' and not options.boxes_as_masks:
        options.log.drop('a rectangle is no mask (--boxes-as-masks draws it)', where)
        return None
    if kind == 'mask':
        return _image_mask(shape, points, size, where)
    if kind == 'rectangle':
        (left, top), (right, bottom) = points[:2]
        points = [[left, top], [right, top], [right, bottom], [left, bottom]]
    if kind == 'circle':
        centre, edge = np.array(points[:2], float)
        turns = np.linspace(0, 2 * np.pi, CIRCLE_POINTS, endpoint=False)
        radius = np.linalg.norm(edge - centre)
        points = (centre + radius * np.stack([np.cos(turns), np.sin(turns)], 1)).tolist()
    try:
        return to_rle([[value for point in points for value in point]], *size)
    except ValueError as error:
        raise InputError(f'{where}: "points": {error}') from None


def _image_mask(
    shape: Mapping[str, Any], points: list[list[float]], size: tuple[int, int], where: str
) -> RLE:
    """Returns a mask that is an image, as text, inside of a box."""
    try:
        data = base64.b64decode(shape['mask'], validate=True)
        with Image.open(io.BytesIO(data)) as image:
            inside = np.array(image) > 0
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(f'{where}: "mask" must be an image in base64, but: {error}') from None
    left, top = (int(round(value)) for value in points[0])
    full = np.zeros(size, bool)
    fits = inside.ndim == 2 and left >= 0 and top >= 0
    if not fits or top + inside.shape[0] > size[0] or left + inside.shape[1] > size[1]:
        raise InputError(f'{where}: "mask" must lie in the frame of {size[1]}x{size[0]} pixels')
    full[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return encode_array(full)


def _joined(first: RLE, second: RLE) -> RLE:
    return encode_array(decode_rle(first) | decode_rle(second))


register(Labelme())
