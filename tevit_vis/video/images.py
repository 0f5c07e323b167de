"""Image files, read: sizes, orientation, depth, faults.

Data sets and videos read their frames here, so that all agree on what an image shows.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import mmcv
import numpy as np
from PIL import Image

from tevit_vis.utils.errors import InputError

IMAGE_SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff'}
DEEP_SUFFIXES = {'.png', '.tif', '.tiff'}  # that may have more than 8 bits
ORIENTATION = 0x0112  # EXIF's tag; from 5 on width and height change places
# White of the depths that cameras have.
WHITES = (255, 1023, 4095, 16383, 65535)
# What Pillow, OpenCV and mmcv raise on files that are damaged or something else.
NOT_AN_IMAGE = (
    *(OSError, AttributeError, SyntaxError, ValueError, EOFError, TypeError, LookupError),
    *(ArithmeticError, RuntimeError, MemoryError, struct.error, cv2.error),
)
LOGGER = logging.getLogger('tevit_vis')


def in_colour(image: np.ndarray) -> np.ndarray:
    """An image that OpenCV read as it is stored as [H, W, 3]."""
    if image.ndim == 2:
        return np.repeat(image[:, :, None], 3, axis=2)
    return np.repeat(image[:, :, :1], 3, axis=2) if image.shape[2] < 3 else image[:, :, :3]


def of_whole_numbers(image: np.ndarray) -> np.ndarray:
    """An image of uint8 or uint16 as it is; one of other numbers, 0 to 1 or 0 to 255, as uint8."""
    if image.dtype in (np.uint8, np.uint16):
        return image
    values = np.nan_to_num(image.astype(np.float32))
    return (values * (255 if values.max() <= 1 else 1)).clip(0, 255).astype(np.uint8)


class Depth:
    """Scales deep images to 8 bits, by the depth that their values ask for.

    Cameras of 10, 12 or 14 bits put their values into files of 16, where they look black.

    Args:
        brightest: gives the highest value; called at the first deep image.
        origin: names the images in messages.
    """

    def __init__(self, brightest: Callable[[], int], origin: str) -> None:
        self.brightest = brightest
        self.origin = origin
        self.white = 0  # not known yet

    def to_8_bits(self, image: np.ndarray) -> np.ndarray:
        """An image of uint8 or uint16 as uint8."""
        if image.dtype == np.uint8:
            return image
        if not self.white:
            self._choose(self.brightest())
        if (highest := int(image.max())) > self.white:
            LOGGER.warning(
                '%s: an image has values up to %d: all are darker from there on',
                *(self.origin, highest),
            )
            self._choose(highest)
        if self.white == WHITES[-1]:
            return (image >> 8).astype(np.uint8)
        return (image * (255 / self.white) + 0.5).astype(np.uint8)

    def _choose(self, highest: int) -> None:
        self.white = next(white for white in WHITES if white >= highest)
        if self.white < WHITES[-1]:
            LOGGER.warning(
                '%s: has values up to %d in 16 bits: they are taken as %d bits',
                *(self.origin, highest, self.white.bit_length()),
            )


def read_image(path: str) -> np.ndarray:
    """An image file as [H, W, 3] BGR of uint8.

    Raises:
        InputError: the file is absent or is no image.
    """
    with image_faults(path):
        image = mmcv.imread(path)
        image.shape  # noqa: B018  (OpenCV answers None to a file that is no image)
    return image


def read_deep_image(path: str) -> np.ndarray:
    """An image file as [H, W, 3] BGR of uint8, or of uint16 where it has more than 8 bits.

    Raises:
        InputError: the file is absent or is no image.
    """
    if Path(path).suffix.lower() not in DEEP_SUFFIXES:
        return read_image(path)
    with image_faults(path):
        content = np.fromfile(path, np.uint8)
        image = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if image is None:  # such as one of floats
            image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
            image = in_colour(image) if image is not None else None
        if image is None:
            raise ValueError('no image')
        is_deep = image.dtype != np.uint8
    return of_whole_numbers(image) if is_deep else read_image(path)


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
    """Turn what mmcv, OpenCV and Pillow raise on a bad image file into an ``InputError``."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f'{path}: frame must be an image file, but there is none') from None
    except Image.DecompressionBombError:
        raise InputError(f'{path}: frame must fit memory, but is too large') from None
    except NOT_AN_IMAGE:
        raise InputError(f'{path}: frame must be an image, but it cannot be decoded') from None
