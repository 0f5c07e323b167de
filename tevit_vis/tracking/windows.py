"""Which frames of a video a model sees at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tevit_vis.structures import ClipPrediction, FrameInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_whole_number

from .tracker import Tracker

Item = TypeVar('Item')
WINDOWS_KEY = 'model.test_cfg.windows'


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
        InputError: the config has other keys, or values that make no windows.

    Example:
        >>> windows_of(dict(length=5, stride=1))
        Windows(length=5, stride=1)
    """
    if config is None:
        return None
    moved_keys = [
        key for key in ('min_iou', 'min_score') if isinstance(config, Mapping) and key in config
    ]
    if moved_keys:
        raise InputError(
            f'{WINDOWS_KEY}.{moved_keys[0]}: must be left out: '
            f'it is model.test_cfg.tracker.{moved_keys[0]} now'
        )
    if not isinstance(config, Mapping) or set(config) != {'length', 'stride'}:
        raise InputError(f'{WINDOWS_KEY}: must be None or have length and stride, but got {config}')
    if config['length'] is None:
        return None
    windows = Windows(
        check_whole_number(f'{WINDOWS_KEY}.length', config['length'], least=1),
        check_whole_number(f'{WINDOWS_KEY}.stride', config['stride'], least=1),
    )
    if windows.stride > windows.length:
        raise InputError(
            f'{WINDOWS_KEY}.stride: must be at most the {windows.length} frames of a window, or '
            f'frames would be skipped, but got {windows.stride}'
        )
    return windows


def cut_windows(frames: Iterable[Item], windows: Windows) -> Iterator[tuple[range, list[Item]]]:
    """Yields the windows of a video whose frames come one by one: frame numbers and frames.

    The last window is moved back so that it ends with the video; a video shorter than a window is
    one window (IFC, section 3.4). Only the frames of one window are in memory.

    Example:
        >>> list(cut_windows('abcd', Windows(length=3, stride=2)))
        [(range(0, 3), ['a', 'b', 'c']), (range(1, 4), ['b', 'c', 'd'])]
    """
    window_frames: deque[Item] = deque(maxlen=windows.length)
    start, num_covered, num_frames = 0, 0, 0
    for frame in frames:
        window_frames.append(frame)
        num_frames += 1
        if num_frames == start + windows.length:
            yield range(start, num_frames), list(window_frames)
            start, num_covered = start + windows.stride, num_frames
    if num_covered < num_frames:
        yield range(num_frames - len(window_frames), num_frames), list(window_frames)


def require_same_size(
    frames: Iterable[Item], size_of: Callable[[Item], tuple[int, int]]
) -> Iterator[Item]:
    """Yields the frames of a video and checks that each has the size of the first one.

    Args:
        frames: of a video.
        size_of: returns the (H, W) of a frame.

    Raises:
        InputError: a frame has another size, or there is no frame.

    Example:
        >>> list(require_same_size(['one', 'two'], size_of=lambda frame: (1, len(frame))))
        ['one', 'two']
    """
    first: tuple[int, int] | None = None
    for number, frame in enumerate(frames):
        height, width = size_of(frame)
        first = first or (height, width)
        if (height, width) != first:
            raise InputError(
                f'frame {number} must be {first[1]}x{first[0]} like the first one, '
                f'but is {width}x{height}'
            )
        yield frame
    if first is None:
        raise InputError('a video must have at least one frame, but has none')


def follow_windows(
    frames: Iterable[Item],
    windows: Windows,
    tracker: Tracker,
    predict: Callable[[list[Item]], ClipPrediction],
) -> Iterator[FrameInstances]:
    """Joins the instances of overlapping windows to tracks and yields them frame by frame.

    Args:
        frames: of the video, one by one.
        windows: how it is cut.
        tracker: a new one.
        predict: called with the frames of each window.

    Example:
        >>> frames = follow_windows(video, Windows(5, 1), tracker, model.predict)  # doctest: +SKIP
        >>> next(frames)  # doctest: +SKIP
        FrameInstances(frame 0, 2 tracks [0, 1] in 640x360)
    """
    for frame_numbers, window in cut_windows(frames, windows):
        # No later window covers these frames: they are returned before the model runs.
        yield from tracker.close(before=frame_numbers.start)
        tracker.add(frame_numbers, predict(window))
    yield from tracker.close()


def set_windows(test_cfg: Any, window: int | None, stride: int | None) -> None:
    """Changes the windows of a model.

    Args:
        test_cfg: the model's ``test_cfg``, whose ``windows`` are changed in place.
        window: new length in frames; None keeps the length.
        stride: new stride in frames; None keeps it, or lowers it until windows overlap.

    Raises:
        InputError: the windows are not possible, or there is a stride without a length.

    Example:
        >>> test_cfg = {'windows': {'length': 5, 'stride': 4}}
        >>> set_windows(test_cfg, window=3, stride=None)
        >>> test_cfg['windows']
        {'length': 3, 'stride': 2}
    """
    if test_cfg.get('windows') is None:  # a config of a user's own
        test_cfg['windows'] = dict(length=None, stride=window or 1)
    windows = test_cfg['windows']
    if window is not None:
        windows['length'] = check_whole_number('window', window, least=1)
        # If windows have no frame in common, every track ends with its window.
        windows['stride'] = max(1, min(windows['stride'], windows['length'] - 1))
    if windows['length'] is None:
        raise InputError('stride: needs windows: give their length as well, such as 10')
    if stride is not None:
        windows['stride'] = check_whole_number('stride', stride, least=1)
