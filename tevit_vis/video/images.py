"""Reading of image files: size, orientation, bit depth, faults.

Data sets and videos read their frames here, so that all agree on what an image shows.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tevit_vis.utils.errors import InputError

IMAGE_SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff'}
DEEP_SUFFIXES = {'.png', '.tif', '.tiff'}  # formats that may have more than 8 bits
ORIENTATION = 0x0112  # EXIF tag; values from 5 on swap width and height
# The highest values of the bit depths that cameras have.
WHITE_LEVELS = (255, 1023, 4095, 16383, 65535)
# What Pillow, OpenCV and numpy raise on files that are damaged or something else.
IMAGE_ERRORS = (
    *(OSError, AttributeError, SyntaxError, ValueError, EOFError, TypeError, LookupError),
    *(ArithmeticError, RuntimeError, MemoryError, struct.error, cv2.error),
)
LOGGER = logging.getLogger('tevit_vis')


def to_three_channels(image: np.ndarray) -> np.ndarray:
    """Returns an image of any number of channels, as OpenCV reads it, as [H, W, 3].

    Grey is repeated, and an alpha channel is dropped.

    Example:
        >>> to_three_channels(np.zeros((2, 4), np.uint8)).shape
        (2, 4, 3)
    """
    if image.ndim == 2:
        return np.repeat(image[:, :, None], 3, axis=2)
    return np.repeat(image[:, :, :1], 3, axis=2) if image.shape[2] < 3 else image[:, :, :3]


def to_integers(image: np.ndarray) -> np.ndarray:
    """Returns an image of uint8 or uint16 unchanged, and one of other numbers as uint8.

    Other numbers, such as floats, run from 0 to 1 or from 0 to 255.

    Example:
        >>> to_integers(np.array([[0.0, 1.0]])).tolist()
        [[0, 255]]
    """
    if image.dtype in (np.uint8, np.uint16):
        return image
    values = np.nan_to_num(image.astype(np.float32))
    return (values * (255 if values.max() <= 1 else 1)).clip(0, 255).astype(np.uint8)


class BitDepthScaler:
    """Scales images of 16 bits to 8 bits.

    Cameras of 10, 12 or 14 bits store their values in files of 16 bits, where they would look
    black. So the highest value of the images decides the depth that they are scaled from.

    Args:
        brightest: returns the highest value; it is called at the first image of 16 bits.
        origin: names the images in messages.
    """

    def __init__(self, brightest: Callable[[], int], origin: str) -> None:
        self.brightest = brightest
        self.origin = origin
        self.white = 0  # not known yet

    def to_8_bits(self, image: np.ndarray) -> np.ndarray:
        """Returns an image of uint8 or uint16 as uint8."""
        if image.dtype == np.uint8:
            return image
        if not self.white:
            self._choose(self.brightest())
        if (highest := int(image.max())) > self.white:
            LOGGER.warning(
                '%s: an image has values up to %d: from here on all images are scaled darker',
                *(self.origin, highest),
            )
            self._choose(highest)
        if self.white == WHITE_LEVELS[-1]:
            return (image >> 8).astype(np.uint8)
        return (image * (255 / self.white) + 0.5).astype(np.uint8)

    def _choose(self, highest: int) -> None:
        """Sets the white level to that of the smallest depth that holds the highest value."""
        self.white = next(white for white in WHITE_LEVELS if white >= highest)
        if self.white < WHITE_LEVELS[-1]:
            LOGGER.warning(
                '%s: has values up to %d in 16 bits: they are taken as %d bits',
                *(self.origin, highest, self.white.bit_length()),
            )


def read_image(path: str) -> np.ndarray:
    """Reads an image file as [H, W, 3] BGR of uint8.

    Raises:
        InputError: the file is absent or is no image.
    """
    with image_faults(path):
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        if image is None:  # a file that is no image
            raise ValueError('no image')
    return image


def read_deep_image(path: str) -> np.ndarray:
    """Reads an image file as [H, W, 3] BGR of uint8, or of uint16 where it has more than 8 bits.

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
            image = to_three_channels(image) if image is not None else None
        if image is None:
            raise ValueError('no image')
        is_deep = image.dtype != np.uint8
    return to_integers(image) if is_deep else read_image(path)


def image_size(path: str) -> tuple[int, int]:
    """Returns (W, H) of an image file as ``read_image`` would give it, from its header alone.

    Raises:
        InputError: the file is absent or is no image.
    """
    with image_faults(path), Image.open(path) as image:
        width, height = image.size
        return (height, width) if _is_turned(image) else (width, height)


def _is_turned(image: Image.Image) -> bool:
    """Whether an image's EXIF orientation swaps width and height."""
    if image.format == 'PNG' and 'exif' not in image.info:
        return False  # Pillow would decode the whole image to find EXIF data at its end
    return bool(image.getexif().get(ORIENTATION, 1) >= 5)


def turned_hint(path: str, expected_size: tuple[int, int]) -> str:
    """Returns a hint for an image that has the expected (W, H) only before it is turned upright.

    All images are turned by their EXIF orientation when they are read. The hint is empty where
    this does not explain the size.
    """
    try:
        with Image.open(path) as image:
            is_turned = _is_turned(image)
            stored_size = image.size
    except (OSError, ValueError, SyntaxError):
        return ''
    if is_turned and stored_size == expected_size:
        return ': it is stored so, but its EXIF orientation turns it'
    return ''


@contextmanager
def image_faults(path: str) -> Iterator[None]:
    """Turn what OpenCV and Pillow raise on a bad image file into an ``InputError``."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f'{path}: frame must be an image file, but there is none') from None
    except Image.DecompressionBombError:
        raise InputError(f'{path}: frame must fit memory, but is too large') from None
    except IMAGE_ERRORS:
        raise InputError(f'{path}: frame must be an image, but it cannot be decoded') from None
