"""The shapes of a track in a CVAT file: what mask each stands for, and what lies between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tevit_vis.rle import encode_array, to_rle
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import shorten

ELLIPSE_POINTS = 72
AREAS = ('polygon', 'mask', 'box', 'ellipse')  # shapes that have an area


@dataclass(frozen=True)
class Shape:
    """A shape of a track in one frame.

    Args:
        frame: counted from the first of the task.
        kind: of ``AREAS``.
        outside: whether the track is not seen from this frame on.
        values: attributes of the XML element.
    """

    frame: int
    kind: str
    outside: bool
    values: dict[str, str]


def shape_mask(shape: Shape, height: int, width: int, where: str) -> RLE | None:
    """Returns the mask of a shape; None if it lies outside of the frame.

    Args:
        shape: to draw.
        height, width: of the frame.
        where: names file and shape in errors.

    Raises:
        InputError: a value is missing or is no number.
    """
    if shape.kind == 'mask':
        return _pasted_runs(shape.values, height, width, where)
    points = np.array(_outline(shape, where), float)
    low, high = points.min(0), points.max(0)
    if (high <= 0).any() or (low >= (width, height)).any():
        return None
    try:
        return to_rle([points.ravel().tolist()], height, width)
    except ValueError as error:
        raise InputError(f'{where}: {error}') from None


def _outline(shape: Shape, where: str) -> list[tuple[float, float]]:
    """Returns the corners (x, y) of a polygon, box or ellipse."""
    if shape.kind == 'polygon':
        text = shape.values.get('points', '')
        pairs = [pair.split(',') for pair in text.split(';')]
        if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
            raise InputError(
                f'{where}: "points" must be x,y;x,y;... of three or more points, '
                f'but got {shorten(text)}'
            )
        return [(_number(x, 'points', where), _number(y, 'points', where)) for x, y in pairs]
    if shape.kind == 'box':
        left, top, right, bottom = _numbers(shape, ('xtl', 'ytl', 'xbr', 'ybr'), where)
        centre = (left + right) / 2, (top + bottom) / 2
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    else:
        cx, cy, rx, ry = _numbers(shape, ('cx', 'cy', 'rx', 'ry'), where)
        centre = cx, cy
        turns = np.linspace(0, 2 * math.pi, ELLIPSE_POINTS, endpoint=False)
        corners = [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in turns]
    angle = math.radians(_number(shape.values.get('rotation', '0'), 'rotation', where))
    return [_turned(corner, centre, angle) for corner in corners]


def _turned(
    point: tuple[float, float], centre: tuple[float, float], angle: float
) -> tuple[float, float]:
    """Returns a point turned clockwise, as it is seen, around a centre."""
    x, y = point[0] - centre[0], point[1] - centre[1]
    cos, sin = math.cos(angle), math.sin(angle)
    return centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos


def _pasted_runs(values: dict[str, str], height: int, width: int, where: str) -> RLE | None:
    """Returns a mask of runs inside of a box, row by row, the first of background."""
    left, top, box_width, box_height = (
        int(_number(values.get(key, ''), key, where)) for key in ('left', 'top', 'width', 'height')
    )
    if not (0 < box_width <= 2 * width + 16 and 0 < box_height <= 2 * height + 16):
        raise InputError(
            f'{where}: "width" and "height" must be about those of the frame at most, '
            f'{width}x{height}, but are {box_width}x{box_height}'
        )
    texts = values.get('rle', '').replace(' ', '').split(',')
    runs = [int(_number(text, 'rle', where)) for text in texts if text]
    if min(runs, default=0) < 0 or sum(runs) != box_width * box_height:
        raise InputError(
            f'{where}: "rle" must add up to the {box_width * box_height} pixels of its box, '
            f'but adds up to {sum(runs)}'
        )
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(box_height, box_width)
    full = np.zeros((height, width), bool)
    rows = slice(max(0, top), max(0, min(height, top + box_height)))
    columns = slice(max(0, left), max(0, min(width, left + box_width)))
    full[rows, columns] = inside[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    return encode_array(full) if full.any() else None


def _numbers(shape: Shape, keys: Sequence[str], where: str) -> list[float]:
    return [_number(shape.values.get(key, ''), key, where) for key in keys]


def _number(text: str, key: str, where: str) -> float:
    """Returns a text as a number.

    Raises:
        InputError: it is none, or is not finite.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f'{where}: "{key}" must be a number, but got {shorten(text)}')
    return value


def whole_number(text: str | None, key: str, where: str) -> int:
    """Returns a text as a whole number.

    Raises:
        InputError: it is none.

    Example:
        >>> whole_number('12', 'frame', 'a.xml')
        12
    """
    value = _number(text or '', key, where)
    if value != int(value):
        raise InputError(f'{where}: "{key}" must be a whole number, but got {shorten(text)}')
    return int(value)


def spread_shapes(shapes: Sequence[Shape], length: int) -> dict[int, Shape]:
    """Returns the shape of a track in each frame in which it is seen.

    A shape holds until the next one, and boxes move in straight lines between two; a shape that is
    ``outside`` ends the track until the next one. The last shape holds until the end of the video,
    unless the track lists every frame, as CVAT itself does: then it ends there.

    Args:
        shapes: in order of their frames.
        length: frames of the video.
    """
    spread: dict[int, Shape] = {}
    frames = [shape.frame for shape in shapes]
    lists_all = len(shapes) > 1 and frames[-1] - frames[0] == len(shapes) - 1
    ends = [*frames[1:], frames[-1] + 1 if lists_all else length]
    for index, (shape, end) in enumerate(zip(shapes, ends)):
        if shape.outside:
            continue
        spread[shape.frame] = shape
        following = shapes[index + 1] if index + 1 < len(shapes) else None
        for t in range(shape.frame + 1, end):
            spread[t] = _between(shape, following, t)
    return spread


def _between(shape: Shape, following: Shape | None, frame: int) -> Shape:
    """Returns the shape of a frame between two shapes."""
    values: dict[str, Any] = dict(shape.values)
    if following is not None and shape.kind == following.kind == 'box':
        share = (frame - shape.frame) / (following.frame - shape.frame)
        for key in ('xtl', 'ytl', 'xbr', 'ybr', 'rotation'):
            first = _number(shape.values.get(key, '0'), key, f'frame {shape.frame}')
            last = _number(following.values.get(key, '0'), key, f'frame {following.frame}')
            values[key] = str(first + share * (last - first))
    return Shape(frame, shape.kind, False, values)
