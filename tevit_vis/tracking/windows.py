"""Which frames of a video a model sees at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import share, whole_number

Item = TypeVar('Item')
WHERE = 'model.test_cfg.windows'


@dataclass(frozen=True)
class Windows:
    """How a video is cut into windows, and their instances joined.

    Args:
        length, stride: in frames.
        min_iou: soft IoU above which an instance may continue a track.
        min_score: mean probability above which a track is output under a class.
    """

    length: int
    stride: int
    min_iou: float
    min_score: float


def windows_of(test_cfg: Mapping | None) -> Windows | None:
    """The windows of ``test_cfg.windows``; None where a video is one clip (its length is None).

    Raises:
        InputError: windows that cannot be.
    """
    config = (test_cfg or {}).get('windows')
    if config is None:
        return None
    names = set(Windows.__dataclass_fields__)
    if not isinstance(config, Mapping) or set(config) != names:
        raise InputError(
            f'{WHERE}: must be None or have {", ".join(Windows.__dataclass_fields__)}, '
            f'but got {config}'
        )
    if config['length'] is None:
        return None
    windows = Windows(
        whole_number(f'{WHERE}.length', config['length'], least=1),
        whole_number(f'{WHERE}.stride', config['stride'], least=1),
        share(f'{WHERE}.min_iou', config['min_iou']),
        share(f'{WHERE}.min_score', config['min_score']),
    )
    if windows.stride > windows.length:
        raise InputError(
            f'{WHERE}.stride: must be at most the {windows.length} frames of a window, or frames '
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
        raise InputError(f'{WHERE}: must be there for windows, but is not')
    if window is not None:
        windows.length = whole_number('window', window, least=1)
        # Without a frame in common no track would go on.
        windows.stride = max(1, min(windows.stride, windows.length - 1))
    if windows.length is None:
        raise InputError('stride: needs windows: give their length as well, such as 10')
    if stride is not None:
        windows.stride = whole_number('stride', stride, least=1)


def streaming_windows(test_cfg: Mapping | None) -> Windows:
    """The windows of a model that is to stream a video.

    Args:
        test_cfg: of the model.

    Raises:
        InputError: it has none.
    """
    windows = windows_of(test_cfg)
    if windows is None:
        raise InputError(
            f'{WHERE}.length: must be the frames of a window to stream a video, e.g. 10, but is '
            'None, which makes the whole video one clip'
        )
    return windows
