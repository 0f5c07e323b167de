"""Frames to a video file.

Frames are arrays [H, W, 3] of uint8 in BGR, as OpenCV and mmcv have them.
"""

from __future__ import annotations

import math
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable


class VideoWriter:
    """Writes an H.264 file that browsers play; a context manager.

    The file appears under its name when it is complete; what an error cut off is removed, unless
    the video was ``endless`` and had begun. Odd sizes are extended by one pixel of
    the border, since H.264 wants even ones.

    Args:
        path: file to write; ``.mp4``.
        fps: frames per second.
        endless: for a video that may have no end: what was written can be played when the process
            is killed (``<path>.unfinished.mp4``), and no index is kept in memory.

    Raises:
        InputError: the file cannot be written, or frames per second that cannot be.
    """

    def __init__(self, path: str, fps: float, endless: bool = False) -> None:
        if not (math.isfinite(fps) and fps > 0):
            raise InputError(f'{path}: frames per second must be above 0, but got {fps}')
        self.path = path
        self.endless = endless
        self.unfinished = f'{path}.unfinished.mp4'
        self.rate = Fraction(fps).limit_denominator(1001 * 60)
        self.stream = None
        check_writable(path)
        Path(self.unfinished).touch()  # ffmpeg opens it at the first frame only
        self.encoding = {'crf': '20', 'preset': 'veryfast'}
        options = {'movflags': '+faststart'}
        if endless:  # in pieces of two seconds, each on the disk when it is whole
            self.encoding['g'] = str(max(1, round(2 * fps)))
            options = {
                'movflags': '+frag_keyframe+empty_moov+default_base_moof',
                'flush_packets': '1',
            }
        self.container = av.open(self.unfinished, 'w', options=options)

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, image: np.ndarray) -> None:
        """Append a frame [H, W, 3] (uint8, BGR)."""
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')
        if self.stream is None:
            self.stream = self.container.add_stream('libx264', rate=self.rate)
            self.stream.height, self.stream.width = image.shape[:2]
            self.stream.pix_fmt = 'yuv420p'
            self.stream.options = self.encoding
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format='bgr24')
        self.container.mux(self.stream.encode(frame))

    def __exit__(self, exc_type, exc, traceback) -> None:
        whole = exc_type is None or (self.endless and self.stream is not None)
        if whole and self.stream is not None:
            self.container.mux(self.stream.encode(None))
        self.container.close()
        if whole:
            os.replace(self.unfinished, self.path)
        else:
            Path(self.unfinished).unlink()
