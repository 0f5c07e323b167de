"""Which frames of a video a model sees at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_whole_number

Item = TypeVar('Item')
KEY = 'model.test_cfg.windows'


@dataclass(frozen=True)
class Windows:
    """How a video is cut into windows.

    Args:
        length: frames of a window.
        stride: frames from the start of a window to the start of the next.
    """

    length: int
    stride: int


def windows_of(config: Mapping | None) -> Windows | None:
    """Returns the windows of a config; None if a video is one clip (the length is None).

    Args:
        config: ``model.test_cfg.windows``.

    Raises:
        InputError: other keys, or values that make no windows.

    Example:
        >>> windows_of(dict(length=5, stride=1))
        Windows(length=5, stride=1)
    """
    if config is None:
        return None
    moved = [n for n in ('min_iou', 'min_score') if isinstance(config, Mapping) and n in config]
    if moved:
        raise InputError(
            f'{KEY}.{moved[0]}: must be left out: it is model.test_cfg.tracker.{moved[0]} now'
        )
    if not isinstance(config, Mapping) or set(config) != {'length', 'stride'}:
        raise InputError(f'{KEY}: must be None or have length and stride, but got {config}')
    if config['length'] is None:
        return None
    windows = Windows(
        check_whole_number(f'{KEY}.length', config['length'], least=1),
        check_whole_number(f'{KEY}.stride', config['stride'], least=1),
    )
    if windows.stride > windows.length:
        raise InputError(
            f'{KEY}.stride: must be at most the {windows.length} frames of a window, or frames '
            f'would be skipped, but got {windows.stride}'
        )
    return windows


def cut_windows(frames: Iterable[Item], windows: Windows) -> Iterator[tuple[range, list[Item]]]:
    """The windows of a video whose frames come one by one: their numbers and they themselves.

    The last window is moved back so that it ends with the video; a video shorter than a window is
    one window (IFC, section 3.4). No more frames are held than a window has.
    """
    held: deque[Item] = deque(maxlen=windows.length)
    start, covered, count = 0, 0, 0
    for frame in frames:
        held.append(frame)
        count += 1
        if count == start + windows.length:
            yield range(start, count), list(held)
            start, covered = start + windows.stride, count
    if covered < count:
        yield range(count - len(held), count), list(held)


def set_windows(test_cfg: Any, window: int | None, stride: int | None) -> None:
    """Give a model other windows.

    Args:
        test_cfg: of the model, whose ``windows`` are changed.
        window: frames; None leaves the length as it is.
        stride: frames; None leaves it as it is, or so that windows overlap.

    Raises:
        InputError: windows that cannot be, or a model that knows none.
    """
    windows = test_cfg.get('windows')
    if windows is None:
        raise InputError(f'{KEY}: must be there for windows, but is not')
    if window is not None:
        windows.length = check_whole_number('window', window, least=1)
        # Without a frame in common no track would go on.
        windows.stride = max(1, min(windows.stride, windows.length - 1))
    if windows.length is None:
        raise InputError('stride: needs windows: give their length as well, such as 10')
    if stride is not None:
        windows.stride = check_whole_number('stride', stride, least=1)
