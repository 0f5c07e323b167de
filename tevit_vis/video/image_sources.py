"""Image files as videos: a frame per file, or a frame per page of one file."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, ImageSequence

from tevit_vis.utils.errors import InputError

from .images import (
    IMAGE_SUFFIXES,
    BitDepthScaler,
    image_faults,
    read_deep_image,
    to_integers,
    to_three_channels,
)
from .source import FrameSource, TimedFrame, check_on_damage, check_same_size

LOGGER = logging.getLogger('tevit_vis')
NUM_SAMPLED = 8  # images, at least, that are searched for the highest value
DIGITS = re.compile(r'(\d+)')
TIFF_SUFFIXES = {'.tif', '.tiff'}
PAGED_SUFFIXES = {'.webp', '.png', *TIFF_SUFFIXES}
TIFF_BYTES = 128 << 20  # bytes of pages that are in memory at a time


def natural_key(name: str) -> list:
    """Returns a key that sorts names as people number them.

    Example:
        >>> sorted(['10.png', '9.png', '1.png'], key=natural_key)
        ['1.png', '9.png', '10.png']
    """
    parts = DIGITS.split(name)  # texts and numbers in turn
    return [[int(part) if n % 2 else part for n, part in enumerate(parts)], name]


def list_images(folder: Path) -> list[str]:
    """Returns the image files of a folder in natural order, without hidden ones."""
    names = [
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('.')
    ]
    return [str(folder / name) for name in sorted(names, key=natural_key)]


class ImageFiles(FrameSource):
    """Image files, one per frame, all of one size.

    Args:
        files: paths of the images, in order.
        origin: names the images in errors.
        on_damage: with ``stop``, an image that cannot be decoded is an error; else it is left out,
            and a warning at the end says how many were.
    """

    def __init__(self, files: Sequence[str], origin: str, on_damage: str = 'keep') -> None:
        if not files:
            raise InputError(
                f'{origin}: must hold at least one image itself, but holds none; folders in it '
                f'are named by "{origin}/*"'
            )
        self.files = list(files)
        self.origin = origin
        self.on_damage = check_on_damage(on_damage)
        self.num_frames = len(files)
        self.depth = BitDepthScaler(self._brightest, origin)

    def timed_frames(self) -> Iterator[TimedFrame]:
        """Yields an image per file; they have no times."""
        first_shape, faults = None, []
        for path in self.files:
            try:
                image = self.depth.to_8_bits(read_deep_image(path))
            except InputError as error:
                if self.on_damage == 'stop' or not os.path.isfile(path):
                    raise
                faults.append(str(error))
                continue
            first_shape = first_shape or image.shape
            check_same_size(image, first_shape, path)
            yield TimedFrame(image, None)
        if first_shape is None:
            raise InputError(faults[0])
        if faults:
            LOGGER.warning(
                '%s: %d of %d frames were used, the others cannot be decoded (first: %s)',
                *(self.origin, len(self.files) - len(faults), len(self.files), faults[0]),
            )

    def _brightest(self) -> int:
        """Returns the highest value of the 16-bit images in a sample of all."""
        step = max(1, len(self.files) // NUM_SAMPLED)
        values = [0]
        for path in self.files[::step]:
            try:
                image = read_deep_image(path)
            except InputError:
                continue
            values.append(int(image.max()) if image.dtype == np.uint16 else 0)
        return max(values)


class PagedImage(FrameSource):
    """An image file of several pages: a TIFF, an animated WebP or PNG.

    Args:
        path: path of the file.
        on_damage: with ``stop``, a page that cannot be decoded is an error; else the pages before
            it are used.
    """

    def __init__(self, path: str, on_damage: str = 'keep') -> None:
        self.path = path
        self.on_damage = check_on_damage(on_damage)
        with image_faults(path), Image.open(path) as image:
            self.num_pages = int(getattr(image, 'n_frames', 1))
            # A PNG may begin with a still picture for viewers that cannot show animations.
            self.num_hidden = int(bool(getattr(image, 'default_image', False)))
        self.num_frames = self.num_pages - self.num_hidden
        has_times = Path(path).suffix.lower() not in TIFF_SUFFIXES and self.num_frames > 1
        self.fps = 1000 / next(iter(self._pages()))[1] if has_times else None
        self.depth = BitDepthScaler(self._brightest, path)

    def timed_frames(self) -> Iterator[TimedFrame]:
        """Yields the pages, with their times where the file has durations."""
        first_shape, num_read, time = None, 0, 0.0
        try:
            for page, duration in self._pages():
                image = self.depth.to_8_bits(page)
                first_shape = first_shape or image.shape
                check_same_size(image, first_shape, f'{self.path}: page {num_read}')
                yield TimedFrame(image, time if self.fps else None)
                time += duration / 1000
                num_read += 1
        except InputError as error:
            if self.on_damage == 'stop' or not num_read:
                raise
            LOGGER.warning(
                '%s: %d of %d pages were used; the next one cannot be: %s',
                *(self.path, num_read, self.num_frames, error),
            )

    def _pages(self) -> Iterator[tuple[np.ndarray, float]]:
        """Yields pages [H, W, 3] (BGR; uint8 or uint16), each with its duration in milliseconds."""
        if Path(self.path).suffix.lower() in TIFF_SUFFIXES:
            yield from ((page, 0) for page in _tiff_pages(self.path, self.num_pages))
            return
        with image_faults(self.path), Image.open(self.path) as image:
            for page in islice(ImageSequence.Iterator(image), self.num_hidden, None):
                upright = np.asarray(ImageOps.exif_transpose(page).convert('RGB'))
                # Browsers show a page without a duration for a tenth of a second.
                duration = page.info.get('duration') or 100
                yield np.ascontiguousarray(upright[:, :, ::-1]), duration

    def _brightest(self) -> int:
        """Returns the highest value of the 16-bit pages."""
        values = [int(page.max()) for page, _ in self._pages() if page.dtype == np.uint16]
        return max(values, default=0)


def _tiff_pages(path: str, num_pages: int) -> Iterator[np.ndarray]:
    """Yields the pages of a TIFF file, read by OpenCV, since Pillow cannot read 16-bit colours.

    Many pages are read per call, since each call goes through the file from its start.
    """
    start, num_per_call = 0, 1
    while start < num_pages:
        with image_faults(path):
            _, pages = cv2.imreadmulti(path, start, num_per_call, flags=cv2.IMREAD_UNCHANGED)
            pages = [to_integers(to_three_channels(page)) for page in pages]
            if not pages:
                raise ValueError('no page')
        yield from pages
        start += len(pages)
        num_per_call = max(1, min(256, TIFF_BYTES // pages[0].nbytes))


def open_image_file(path: str, on_damage: str) -> FrameSource:
    """Opens an image file as a video: its pages are the frames, or the image is the only one."""
    if Path(path).suffix.lower() in PAGED_SUFFIXES:
        paged = PagedImage(path, on_damage)
        if paged.num_frames != 1:
            return paged
    return ImageFiles([path], path, on_damage)
