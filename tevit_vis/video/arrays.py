"""Sources of frames that are in memory, or that the caller's own code makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import Image

from tevit_vis.utils.errors import InputError

from .source import FrameSource, TimedFrame, check_same_size


class FrameArray(FrameSource):
    """Frames of one array.

    Args:
        frames: [T, H, W, 3] of uint8 in BGR.

    Raises:
        InputError: the array has another shape or type, or no frame.

    Example:
        >>> FrameArray(np.zeros((5, 4, 6, 3), np.uint8)).num_frames
        5
    """

    def __init__(self, frames: np.ndarray) -> None:
        frames = np.asarray(frames)
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not frames.size:
            raise InputError(
                'video array must be [T, H, W, 3] of uint8 with T >= 1, '
                f'but got {list(frames.shape)} of {frames.dtype}'
            )
        self.frames = frames
        self.num_frames = len(frames)

    def timed_frames(self) -> Iterator[TimedFrame]:
        """Yields the frames; they have no times."""
        return (TimedFrame(image, None) for image in self.frames)


class FrameIterable(FrameSource):
    """Frames of a list or an iterator: arrays [H, W, 3] (uint8, BGR) or Pillow images.

    An iterator, such as a generator, can be gone through once only.

    Args:
        frames: all of one size.

    Example:
        >>> len(list(FrameIterable([np.zeros((4, 6, 3), np.uint8)] * 2)))
        2
    """

    def __init__(self, frames: Iterable) -> None:
        self.frames = frames
        self.num_frames = len(frames) if isinstance(frames, Sequence) else None
        self.is_single_pass = isinstance(frames, Iterator)
        self.has_started = False

    def timed_frames(self) -> Iterator[TimedFrame]:
        """Yields the frames; they have no times.

        Raises:
            InputError: an item is no frame or has another size than the first one, or an iterator
                is gone through a second time.
        """
        if self.is_single_pass and self.has_started:
            raise InputError('the iterator of frames can be gone through once only')
        self.has_started = True
        first_shape = None
        for number, frame in enumerate(self.frames):
            image = _as_image(frame, f'frame {number}')
            first_shape = first_shape or image.shape
            check_same_size(image, first_shape, f'frame {number}')
            yield TimedFrame(image, None)


def _as_image(frame: object, where: str) -> np.ndarray:
    """Returns a frame as an array [H, W, 3] of uint8 in BGR; ``where`` names it in errors."""
    if isinstance(frame, Image.Image):
        return np.ascontiguousarray(np.asarray(frame.convert('RGB'))[:, :, ::-1])
    image = np.asarray(frame)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(
            f'{where}: must be an array [H, W, 3] of uint8 or a Pillow image, '
            f'but got {type(frame).__name__} {list(image.shape)} of {image.dtype}'
        )
    return image
