"""Video files, image folders and arrays as streams of frames; and frames to a video file.

Frames are arrays [H, W, 3] of uint8 in BGR, as OpenCV and mmcv have them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, Union

import av
import cv2
import mmcv
import numpy as np

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable

IMAGE_SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff'}


class FrameSource(Protocol):
    """Frames that may be gone through more than once."""

    @property
    def fps(self) -> float | None:
        """Frames per second, where the source knows."""

    @property
    def num_frames(self) -> int | None:
        """Number of frames, where the source knows; a video file's header may be wrong."""

    def __iter__(self) -> Iterator[np.ndarray]: ...


VideoInput = Union[str, os.PathLike, Sequence, np.ndarray, FrameSource]


def open_source(video: VideoInput) -> FrameSource:
    """What frames come from.

    Args:
        video: a video file, a folder of images (taken in sorted order), a list of image files,
            an array [T, H, W, 3] (uint8, BGR), or a source, which is given back.

    Raises:
        InputError: it is none of these, or has no frame.
    """
    if isinstance(video, (FrameArray, ImageFiles, VideoFile)):
        return video
    if isinstance(video, np.ndarray):
        return FrameArray(video)
    if isinstance(video, (str, os.PathLike)):
        path = Path(video)
        if path.is_dir():
            files = sorted(f for f in path.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES)
            return ImageFiles([str(file) for file in files], origin=str(path))
        return VideoFile(str(path))
    if isinstance(video, Sequence) and all(isinstance(f, (str, os.PathLike)) for f in video):
        return ImageFiles([str(file) for file in video], origin='the list of images')
    raise InputError(
        'video must be a video file, a folder or list of images, or an array [T, H, W, 3], '
        f'but got {type(video).__name__}'
    )


class FrameArray:
    """Frames in memory."""

    fps = None

    def __init__(self, frames: np.ndarray) -> None:
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not frames.size:
            raise InputError(
                'video array must be [T, H, W, 3] of uint8 with T >= 1, '
                f'but got {list(frames.shape)} of {frames.dtype}'
            )
        self.frames = frames
        self.num_frames = len(frames)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.frames)


class ImageFiles:
    """Image files, one per frame, all of one size."""

    fps = None

    def __init__(self, files: Sequence[str], origin: str) -> None:
        if not files:
            raise InputError(f'{origin}: must hold at least one image itself, but holds none')
        self.files = files
        self.num_frames = len(files)

    def __iter__(self) -> Iterator[np.ndarray]:
        first = None
        for path in self.files:
            image = read_image(path)
            first = first or image.shape
            check_same_size(image, first, path)
            yield image


@dataclass(frozen=True)
class VideoFile:
    """A video file, decoded by PyAV (ffmpeg)."""

    path: str

    def __post_init__(self) -> None:
        if not os.path.isfile(self.path):
            raise InputError(f'{self.path}: video must be a file or a folder, but neither is there')
        with self._open() as container:
            if not container.streams.video:
                raise InputError(f'{self.path}: file must have a video stream, but it has none')

    def _open(self) -> av.container.InputContainer:
        try:
            return av.open(self.path)
        except av.error.FFmpegError as error:
            raise InputError(f'{self.path}: video cannot be decoded: {error.strerror}') from None

    @property
    def fps(self) -> float | None:
        """Average frames per second."""
        with self._open() as container:
            rate = container.streams.video[0].average_rate
        return float(rate) if rate else None

    @property
    def num_frames(self) -> int | None:
        """Number of frames by the header, None where it does not say."""
        with self._open() as container:
            return container.streams.video[0].frames or None

    def __iter__(self) -> Iterator[np.ndarray]:
        count, first = 0, None
        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = 'AUTO'
            try:
                for decoded in container.decode(stream):
                    # Phones store portrait video lying, with a rotation beside it.
                    turns = decoded.rotation // 90
                    image = np.rot90(decoded.to_ndarray(format='bgr24'), turns)
                    first = first or image.shape
                    check_same_size(image, first, f'{self.path}: frame {count}')
                    yield image
                    count += 1
            except av.error.FFmpegError as error:
                raise InputError(
                    f'{self.path}: video cannot be decoded after frame {count}: {error.strerror}'
                ) from None
        if not count:
            raise InputError(f'{self.path}: video must have at least one frame, but it has none')


def read_image(path: str) -> np.ndarray:
    """An image file as [H, W, 3] BGR.

    Raises:
        InputError: the file is absent or is no image.
    """
    with image_faults(path):
        image = mmcv.imread(path)
        image.shape  # noqa: B018  (OpenCV answers None to a file that is no image)
    return image


@contextmanager
def image_faults(path: str) -> Iterator[None]:
    """Turn what mmcv and OpenCV raise on a bad image file into an ``InputError``."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f'{path}: frame must be an image file, but there is none') from None
    except (OSError, AttributeError, cv2.error):
        raise InputError(f'{path}: frame must be an image, but it cannot be decoded') from None


def check_same_size(image: np.ndarray, first: tuple[int, ...], where: str) -> None:
    """Raise an ``InputError`` when a frame is not of the first frame's size."""
    if image.shape != first:
        raise InputError(
            f'{where}: frame must be {first[1]}x{first[0]} like the first one, '
            f'but it is {image.shape[1]}x{image.shape[0]}'
        )


class VideoWriter:
    """Writes an H.264 file that browsers play; a context manager.

    The file appears under its name when it is complete. Odd sizes are extended by one pixel of
    the border, since H.264 wants even ones.

    Args:
        path: file to write; ``.mp4``.
        fps: frames per second.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: str, fps: float) -> None:
        self.path = path
        self.unfinished = f'{path}.unfinished.mp4'
        self.rate = Fraction(fps).limit_denominator(1001 * 60)
        self.stream = None
        check_writable(path)
        Path(self.unfinished).touch()  # ffmpeg opens it at the first frame only
        self.container = av.open(self.unfinished, 'w', options={'movflags': '+faststart'})

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
            self.stream.options = {'crf': '20', 'preset': 'veryfast'}
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format='bgr24')
        self.container.mux(self.stream.encode(frame))

    def __exit__(self, exc_type, exc, traceback) -> None:
        if exc_type is None and self.stream is not None:
            self.container.mux(self.stream.encode(None))
        self.container.close()
        if exc_type is None:
            os.replace(self.unfinished, self.path)
        else:
            Path(self.unfinished).unlink()
