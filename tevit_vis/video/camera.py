"""Cameras of this machine, read by OpenCV."""

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
    """A camera of this machine, or an open ``cv2.VideoCapture``.

    Its frames can be gone through once. The time of a frame is when it arrived, counted from the
    first one.

    Args:
        number: number of the camera (0 is the first one), or the capture.

    Raises:
        InputError: the camera does not answer.
    """

    is_live = True
    is_single_pass = True

    def __init__(self, number: int | cv2.VideoCapture) -> None:
        self.name = f'camera {number}' if isinstance(number, int) else 'cv2.VideoCapture'
        if isinstance(number, int) and number >= 1 << 31:
            raise InputError(f'camera {number}: must be below 2^31 or name a file, but is neither')
        self.capture = cv2.VideoCapture(number) if isinstance(number, int) else number
        if not self.capture.isOpened():
            raise InputError(f'{self.name}: must be a camera of this machine, but none answers')
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.fps = rate if math.isfinite(rate) and rate > 0 else None
        count = self.capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if math.isfinite(count) and count > 0:  # the capture reads a file
            self.is_live, self.num_frames = False, int(count)

    def timed_frames(self) -> Iterator[TimedFrame]:
        """Yields the frames as they arrive, and releases the camera at the end."""
        num_read, start = 0, None
        try:
            while True:
                has_frame, image = self.capture.read()
                if not has_frame:
                    if self.is_live:
                        LOGGER.warning('%s: ended after %d frames', self.name, num_read)
                    return
                now = time.monotonic() if self.is_live else num_read / (self.fps or 10.0)
                start = now if start is None else start
                yield TimedFrame(image, now - start)
                num_read += 1
        finally:
            self.capture.release()
