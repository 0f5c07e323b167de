"""Sizes that frames are resized to."""

from __future__ import annotations

from collections.abc import Sequence


def fitted_size(width: int, height: int, scale: Sequence[int]) -> tuple[int, int]:
    """Returns the (width, height) that fits into a scale, as mmcv's ``imrescale``.

    Args:
        width, height: of the frame.
        scale: its larger number bounds the long side, its smaller one the short side.

    Example:
        >>> fitted_size(1280, 720, [640, 360])
        (640, 360)
    """
    factor = min(max(scale) / max(height, width), min(scale) / min(height, width))
    return int(width * factor + 0.5), int(height * factor + 0.5)


def short_side_size(
    width: int,
    height: int,
    short_side: int,
    max_long_side: int | None = None,
    round_long_side: bool = False,
) -> tuple[int, int]:
    """Returns (width, height) after resizing to a short side; see ``datasets.ResizeShortSide``.

    Example:
        >>> short_side_size(1280, 720, short_side=360)
        (640, 360)
    """
    short, long = sorted((width, height))
    too_long = max_long_side is not None and long / short * short_side > max_long_side
    if round_long_side:
        scale = max_long_side / long if too_long else short_side / short
        short_side, long_side = int(short * scale + 0.5), int(long * scale + 0.5)
    else:
        if too_long:
            short_side = round(max_long_side * short / long)
        long_side = int(short_side * long / short)
    return (long_side, short_side) if width >= height else (short_side, long_side)
