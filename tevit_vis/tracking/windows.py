"""Which frames of a video a model sees at a time."""

from __future__ import annotations

from tevit_vis.utils.errors import InputError


def window_ranges(num_frames: int, length: int, stride: int) -> list[range]:
    """Windows of ``length`` frames, ``stride`` apart.

    The last one is moved back so that it ends with the video; a video shorter than a window is
    one window (IFC, section 3.4).

    Raises:
        InputError: a stride that would skip frames, or a number below 1.
    """
    for name, value in (('length', length), ('stride', stride)):
        if value < 1:
            raise InputError(f'model.test_cfg.windows.{name}: must be >= 1, but got {value}')
    if stride > length:
        raise InputError(
            f'model.test_cfg.windows.stride: must be at most the {length} frames of a window, '
            f'or frames would be skipped, but got {stride}'
        )
    if num_frames <= length:
        return [range(num_frames)]
    last = num_frames - length
    starts = [*range(0, last, stride), last]
    return [range(start, start + length) for start in starts]
