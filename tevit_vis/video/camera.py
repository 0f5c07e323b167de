"""Cameras of this machine, by OpenCV."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator

import cv2

from tevit_vis.utils.errors import InputError

from .source import FrameSource, TimedFrame

LOGGER = logging.getLogger('tevit_vis')


class Camera(FrameSource):
    """A camera; its frames can be gone through once. Their times are those of their arrival.

    Args:
        number: 0 is the first one; or a ``cv2.VideoCapture`` that is open.

    Raises:
        InputError: it does not answer.
    """

    live = True
    passes_once = True

    def __init__(self, number: int | cv2.VideoCapture) -> None:
        self.name = f'camera {number}' if isinstance(number, int) else 'cv2.VideoCapture'
        if isinstance(number, int) and number >= 1 << 31:
            raise InputError(f'camera {number}: number must be a small one, or a file of that name')
        self.capture = cv2.VideoCapture(number) if isinstance(number, int) else number
        if not self.capture.isOpened():
            raise InputError(f'{self.name}: must be a camera of this machine, but none answers')
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.fps = rate if math.isfinite(rate) and rate > 0 else None
        count = self.capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if math.isfinite(count) and count > 0:  # it reads a file
            self.live, self.num_frames = False, int(count)

    def timed(self) -> Iterator[TimedFrame]:
        """See ``FrameSource``."""
        count, begun = 0, None
        try:
            while True:
                answers, image = self.capture.read()
                if not answers:
                    if self.live:
                        LOGGER.warning('%s: ended after %d frames', self.name, count)
                    return
                now = time.monotonic() if self.live else count / (self.fps or 10.0)
                begun = now if begun is None else begun
                yield TimedFrame(image, now - begun)
                count += 1
        finally:
            self.capture.release()
