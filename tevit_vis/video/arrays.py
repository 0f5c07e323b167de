"""Frames in memory, or made by the caller's own code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import Image

from tevit_vis.utils.errors import InputError

from .source import FrameSource, TimedFrame, check_same_size


class FrameArray(FrameSource):
    """An array or tensor of frames.

    Args:
        frames: [T, H, W, 3] of uint8 in BGR.

    Raises:
        InputError: something else.
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

    def timed(self) -> Iterator[TimedFrame]:
        """See ``FrameSource``."""
        return (TimedFrame(image, None) for image in self.frames)


class FrameIterable(FrameSource):
    """Frames of a list or an iterator: arrays [H, W, 3] (uint8, BGR) or Pillow images.

    An iterator, such as a generator, passes once.

    Args:
        frames: of one size.
    """

    def __init__(self, frames: Iterable) -> None:
        self.frames = frames
        self.num_frames = len(frames) if isinstance(frames, Sequence) else None
        self.passes_once = isinstance(frames, Iterator)
        self.passed = False

    def timed(self) -> Iterator[TimedFrame]:
        """See ``FrameSource``.

        Raises:
            InputError: what is no frame, of another size, or a second pass through an iterator.
        """
        if self.passes_once and self.passed:
            raise InputError('the iterator of frames can be gone through once only')
        self.passed = True
        first = None
        for number, frame in enumerate(self.frames):
            image = _as_image(frame, f'frame {number}')
            first = first or image.shape
            check_same_size(image, first, f'frame {number}')
            yield TimedFrame(image, None)


def _as_image(frame: object, where: str) -> np.ndarray:
    if isinstance(frame, Image.Image):
        return np.ascontiguousarray(np.asarray(frame.convert('RGB'))[:, :, ::-1])
    image = np.asarray(frame)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(
            f'{where}: must be an array [H, W, 3] of uint8 or a Pillow image, '
            f'but got {type(frame).__name__} {list(image.shape)} of {image.dtype}'
        )
    return image
