"""What every source of frames has in common.

Frames are arrays [H, W, 3] of uint8 in BGR, as OpenCV and mmcv have them.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any, NamedTuple, Union

import numpy as np

from tevit_vis.utils.errors import InputError

ON_DAMAGE = ('keep', 'skip', 'stop')


class TimedFrame(NamedTuple):
    """A frame and when it is shown."""

    image: np.ndarray  # [H, W, 3]
    time: float | None  # seconds from the start of the video; None where the source has no times


@dataclass(frozen=True)
class VideoLook:
    """How a video's pixels are meant, so that a written copy looks like what was read.

    Args:
        pixel_aspect: width of a pixel over its height, after the frame was turned upright.
        matrix: of YUV, a number of ITU-T H.273, as ffmpeg has it; 2 is unspecified, and None stands
            for frames that were never YUV, such as images.
        primaries: as a number of H.273, 2 is unspecified.
        transfer: as a number of H.273, 2 is unspecified.
    """

    pixel_aspect: Fraction = Fraction(1)
    matrix: int | None = None
    primaries: int = 2
    transfer: int = 2


class FrameSource(ABC):
    """A source of frames, which can be iterated over.

    It can be gone through any number of times, unless ``is_single_pass`` is set.

    Attributes:
        is_live: whether frames come at their own pace, perhaps without end.
        is_single_pass: whether frames can be gone through once only.
        fps: frames per second, None where the source does not know.
        num_frames: number of frames, None where the source does not know. It may be wrong where a
            video file's header is.
        look: how the pixels are meant.
        sound: file or URL that has the sound, or None.
    """

    is_live: bool = False
    is_single_pass: bool = False
    fps: float | None = None
    num_frames: int | None = None
    look: VideoLook = VideoLook()
    sound: str | None = None

    @abstractmethod
    def timed_frames(self) -> Iterator[TimedFrame]:
        """Yields the frames with their times; the source is closed when the consumer stops."""

    def __iter__(self) -> Iterator[np.ndarray]:
        for frame in self.timed_frames():
            yield frame.image


VideoInput = Union[str, int, os.PathLike, Sequence, Iterable, np.ndarray, FrameSource, Any]


def check_same_size(image: np.ndarray, first_shape: tuple[int, ...], where: str) -> None:
    """Checks that a frame has the size of the first one; ``where`` names it in errors.

    Raises:
        InputError: the frame has another size.
    """
    if image.shape != first_shape:
        raise InputError(
            f'{where}: frame must be {first_shape[1]}x{first_shape[0]} like the first one, '
            f'but it is {image.shape[1]}x{image.shape[0]}'
        )


def check_on_damage(on_damage: str) -> str:
    """Returns a policy for damage after checking that it is one of ``ON_DAMAGE``.

    Raises:
        InputError: it is not.

    Example:
        >>> check_on_damage('skip')
        'skip'
    """
    if on_damage not in ON_DAMAGE:
        raise InputError(f'on_damage: must be {", ".join(ON_DAMAGE)}, but got {on_damage!r}')
    return on_damage


class FirstFrames(FrameSource):
    """The first frames of another source.

    Args:
        source: source that the frames come from.
        max_frames: number of frames after which this source ends.

    Example:
        >>> from tevit_vis.video import open_source
        >>> video = open_source(np.zeros((5, 4, 6, 3), np.uint8))
        >>> len(list(FirstFrames(video, 2)))
        2
    """

    def __init__(self, source: FrameSource, max_frames: int) -> None:
        self.source = source
        self.max_frames = max_frames
        self.is_live, self.fps, self.sound = source.is_live, source.fps, source.sound
        self.is_single_pass = source.is_single_pass
        self.num_frames = min(max_frames, source.num_frames) if source.num_frames else None

    @property
    def look(self) -> VideoLook:  # type: ignore[override]
        """How the pixels are meant; it is read from the source only when needed."""
        return self.source.look

    def timed_frames(self) -> Iterator[TimedFrame]:
        """Yields the first frames with their times."""
        return islice(self.source.timed_frames(), self.max_frames)
