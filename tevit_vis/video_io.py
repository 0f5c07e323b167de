"""Video files, streams, cameras, image folders and arrays as frames.

Frames are arrays [H, W, 3] of uint8 in BGR, as OpenCV and mmcv have them.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Union, runtime_checkable

import av
import cv2
import mmcv
import numpy as np
from PIL import Image

from tevit_vis.utils.errors import InputError

IMAGE_SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff'}


@runtime_checkable
class FrameSource(Protocol):
    """Frames that may be gone through more than once, unless they are live."""

    @property
    def live(self) -> bool:
        """Whether frames come in their own time, perhaps without end."""

    @property
    def fps(self) -> float | None:
        """Frames per second, where the source knows."""

    @property
    def num_frames(self) -> int | None:
        """Number of frames, where the source knows; a video file's header may be wrong."""

    def __iter__(self) -> Iterator[np.ndarray]: ...


ORIENTATION = 0x0112  # EXIF's tag; from 5 on width and height change places
VideoInput = Union[str, int, os.PathLike, Sequence, np.ndarray, FrameSource]
LOGGER = logging.getLogger('tevit_vis')


def open_source(video: VideoInput) -> FrameSource:
    """What frames come from.

    Args:
        video: a video file, a folder of images (taken in sorted order), a list of image files,
            an array [T, H, W, 3] (uint8, BGR), the URL of a stream (rtsp://, http://, ...), the
            number of a camera, or a source, which is given back.

    Raises:
        InputError: it is none of these, or has no frame.
    """
    if isinstance(video, FrameSource):
        return video
    if isinstance(video, int):
        return Camera(video)
    if isinstance(video, str) and '://' in video:
        return VideoStream(video)
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
        'video must be a video file, a folder or list of images, an array [T, H, W, 3], a URL or '
        'the number of a camera, '
        f'but got {type(video).__name__}'
    )


class FrameArray:
    """Frames in memory."""

    fps = None
    live = False

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
    live = False

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
    live: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not os.path.isfile(self.path):
            raise InputError(f'{self.path}: video must be a file or a folder, but neither is there')
        with self._open() as container:
            if not container.streams.video:
                raise InputError(f'{self.path}: file must have a video stream, but it has none')

    def _open(self) -> av.container.InputContainer:
        try:
            return av.open(self.path, metadata_errors='replace')
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
        count = 0
        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = 'AUTO'
            try:
                for image in upright(container.decode(stream), self.path):
                    yield image
                    count += 1
            except av.error.FFmpegError as error:
                raise InputError(
                    f'{self.path}: video cannot be decoded after frame {count}: {error.strerror}'
                ) from None
        if not count:
            raise InputError(f'{self.path}: video must have at least one frame, but it has none')


def upright(frames: Iterable[av.VideoFrame], where: str) -> Iterator[np.ndarray]:
    """Decoded frames as images.

    Args:
        where: names their source in errors.

    Raises:
        InputError: a frame of another size.
    """
    first = None
    for count, decoded in enumerate(frames):
        # Phones store portrait video lying, with a rotation beside it.
        image = np.rot90(decoded.to_ndarray(format='bgr24'), decoded.rotation // 90)
        first = first or image.shape
        check_same_size(image, first, f'{where}: frame {count}')
        yield image


# Names in the query of a URL whose values may be shown.
HARMLESS = {
    *('fps', 'width', 'height', 'resolution', 'channel', 'subtype', 'stream', 'profile', 'codec'),
    *('format', 'quality', 'transport', 'camera', 'start', 'end', 'user', 'v'),
}


def public_url(url: str) -> str:
    """Returns a URL without what may be secret: its user and password, its fragment, and the
    values of its query but for a few names.

    Example:
        >>> public_url('rtsp://me:hunter2@camera/1?token=abc&fps=5')
        'rtsp://***@camera/1?token=***&fps=5'
    """
    scheme, separator, rest = url.partition('://')
    rest, hash_sign, _ = rest.partition('#')
    place, slash, path = rest.partition('/')
    _, at, host = place.rpartition('@')
    start, question, query = path.partition('?')
    pairs = [pair.partition('=') for pair in query.split('&')]
    shown = [
        f'{name}{equals}{value if name.lower() in HARMLESS else "***" if equals else ""}'
        for name, equals, value in pairs
    ]
    return (
        f'{scheme}{separator}{"***" if at else ""}{at}{host}{slash}{start}{question}'
        f'{"&".join(shown)}{"#***" if hash_sign else ""}'
    )


class VideoStream:
    """A stream by URL, decoded by PyAV (ffmpeg). One without a known length is live: its frames
    can be gone through once.

    When it breaks off, stalls or changes its size, it has ended: a warning says so.

    Args:
        url: rtsp://, rtmp://, http://, ...
        patience: seconds without an answer after which it has ended.

    Raises:
        InputError: it cannot be opened, or has no video.
    """

    num_frames = None

    def __init__(self, url: str, patience: float = 10.0) -> None:
        self.url = url
        self.name = public_url(url)  # for messages
        self.patience = patience
        container = self._open()
        if not container.streams.video:
            raise InputError(f'{self.name}: stream must have video, but has none')
        rate = container.streams.video[0].average_rate
        self.fps = float(rate) if rate else None
        self.live = container.duration is None
        self.opened: av.container.InputContainer | None = container

    def _open(self) -> av.container.InputContainer:
        try:
            timeout = (self.patience, self.patience)
            return av.open(self.url, timeout=timeout, metadata_errors='replace')
        except (av.error.FFmpegError, ValueError) as error:
            raise InputError(f'{self.name}: stream must be there, but: {_reason(error)}') from None

    def __iter__(self) -> Iterator[np.ndarray]:
        if self.opened is None and self.live:
            raise InputError(f'{self.name}: a live stream can be gone through once only')
        container, self.opened = self.opened or self._open(), None
        count = 0
        with container:
            stream = container.streams.video[0]
            stream.thread_type = 'SLICE' if self.live else 'AUTO'  # AUTO holds frames back
            try:
                for image in upright(container.decode(stream), self.name):
                    yield image
                    count += 1
            except (av.error.FFmpegError, InputError) as error:
                stalled = isinstance(error, (av.error.ExitError, av.error.TimeoutError))
                why = f'nothing came for {self.patience:g} s' if stalled else _reason(error)
                if stalled:  # the decoder may still have some
                    for image in upright(stream.decode(None), self.name):
                        yield image
                        count += 1
                LOGGER.warning('%s: ended after %d frames: %s', self.name, count, why)


def _reason(error: Exception) -> str:
    """What ffmpeg says, without the address that it may repeat."""
    return getattr(error, 'strerror', None) or str(error).split("'")[0]


class Camera:
    """A camera of this machine, by OpenCV; its frames can be gone through once.

    Args:
        number: 0 is the first one.

    Raises:
        InputError: it does not answer.
    """

    num_frames = None
    live = True

    def __init__(self, number: int) -> None:
        self.number = number
        self.capture = cv2.VideoCapture(number)
        if not self.capture.isOpened():
            raise InputError(f'camera {number}: must be a camera of this machine, but none answers')

    @property
    def fps(self) -> float | None:
        """Frames per second, where the camera says."""
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        return rate if math.isfinite(rate) and rate > 0 else None

    def __iter__(self) -> Iterator[np.ndarray]:
        count = 0
        try:
            while True:
                answers, image = self.capture.read()
                if not answers:
                    LOGGER.warning('camera %d: ended after %d frames', self.number, count)
                    return
                yield image
                count += 1
        finally:
            self.capture.release()


def read_image(path: str) -> np.ndarray:
    """An image file as [H, W, 3] BGR.

    Raises:
        InputError: the file is absent or is no image.
    """
    with image_faults(path):
        image = mmcv.imread(path)
        image.shape  # noqa: B018  (OpenCV answers None to a file that is no image)
    return image


def image_size(path: str) -> tuple[int, int]:
    """Returns (W, H) of an image file as ``read_image`` would give it, from its header alone.

    Raises:
        InputError: the file is absent or is no image.
    """
    with image_faults(path), Image.open(path) as image:
        width, height = image.size
        return (height, width) if _is_turned(image) else (width, height)


def _is_turned(image: Image.Image) -> bool:
    """Whether an image's EXIF orientation lets width and height change places."""
    if image.format == 'PNG' and 'exif' not in image.info:
        return False  # Pillow would decode the image to look for it at its end
    return bool(image.getexif().get(ORIENTATION, 1) >= 5)


def turned_hint(path: str, wanted: tuple[int, int]) -> str:
    """Returns words for an image whose stored size is the wanted (W, H), and its displayed one not.

    A file says how it is to be turned (EXIF orientation), and it is read so everywhere.
    """
    try:
        with Image.open(path) as image:
            turned = _is_turned(image)
            stored = image.size
    except (OSError, ValueError, SyntaxError):
        return ''
    if turned and stored == wanted:
        return ': it is stored so, but its EXIF orientation turns it'
    return ''


@contextmanager
def image_faults(path: str) -> Iterator[None]:
    """Turn what mmcv and OpenCV raise on a bad image file into an ``InputError``."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f'{path}: frame must be an image file, but there is none') from None
    except (OSError, AttributeError, SyntaxError, ValueError, cv2.error):
        raise InputError(f'{path}: frame must be an image, but it cannot be decoded') from None


def check_same_size(image: np.ndarray, first: tuple[int, ...], where: str) -> None:
    """Raise an ``InputError`` when a frame is not of the first frame's size."""
    if image.shape != first:
        raise InputError(
            f'{where}: frame must be {first[1]}x{first[0]} like the first one, '
            f'but it is {image.shape[1]}x{image.shape[0]}'
        )
