"""Image files as videos: a frame each, or the pages of one."""

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
    Depth,
    image_faults,
    in_colour,
    of_whole_numbers,
    read_deep_image,
)
from .source import FrameSource, TimedFrame, check_on_damage, check_same_size

LOGGER = logging.getLogger('tevit_vis')
NUM_SAMPLED = 8  # images in which the brightest value is looked for
DIGITS = re.compile(r'(\d+)')
TIFF_SUFFIXES = {'.tif', '.tiff'}
PAGED_SUFFIXES = {'.webp', '.png', *TIFF_SUFFIXES}
TIFF_BYTES = 128 << 20  # of the pages that are held at a time


def natural_key(name: str) -> list:
    """Returns a key that sorts names as people number them.

    Example:
        >>> sorted(['10.png', '9.png', '1.png'], key=natural_key)
        ['1.png', '9.png', '10.png']
    """
    parts = DIGITS.split(name)  # texts and numbers in turn
    return [[int(part) if n % 2 else part for n, part in enumerate(parts)], name]


def list_images(folder: Path) -> list[str]:
    """Returns the images of a folder in natural order, without those that a system put there."""
    names = [
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('.')
    ]
    return [str(folder / name) for name in sorted(names, key=natural_key)]


class ImageFiles(FrameSource):
    """Image files, one per frame, all of one size.

    Args:
        files: in order.
        origin: names them in errors.
        on_damage: ``stop`` at an image that cannot be decoded; else it is left out, and how many
            were is said at the end.
    """

    def __init__(self, files: Sequence[str], origin: str, on_damage: str = 'keep') -> None:
        if not files:
            raise InputError(f'{origin}: must hold at least one image itself, but holds none')
        self.files = list(files)
        self.origin = origin
        self.on_damage = check_on_damage(on_damage)
        self.num_frames = len(files)
        self.depth = Depth(self._brightest, origin)

    def timed(self) -> Iterator[TimedFrame]:
        """See ``FrameSource``."""
        first, unreadable = None, []
        for path in self.files:
            try:
                image = self.depth.to_8_bits(read_deep_image(path))
            except InputError as error:
                if self.on_damage == 'stop' or not os.path.isfile(path):
                    raise
                unreadable.append(str(error))
                continue
            first = first or image.shape
            check_same_size(image, first, path)
            yield TimedFrame(image, None)
        if first is None:
            raise InputError(unreadable[0])
        if unreadable:
            LOGGER.warning(
                '%s: %d of %d frames were used, the others cannot be decoded (first: %s)',
                *(self.origin, len(self.files) - len(unreadable), len(self.files), unreadable[0]),
            )

    def _brightest(self) -> int:
        """The highest value in some of the images."""
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
        path: of the file.
        on_damage: ``stop`` at a page that cannot be decoded; else the pages before it are used.
    """

    def __init__(self, path: str, on_damage: str = 'keep') -> None:
        self.path = path
        self.on_damage = check_on_damage(on_damage)
        with image_faults(path), Image.open(path) as image:
            self.num_pages = int(getattr(image, 'n_frames', 1))
            # The first picture of a PNG may be one for viewers that know no animations.
            self.num_hidden = int(bool(getattr(image, 'default_image', False)))
        self.num_frames = self.num_pages - self.num_hidden
        has_times = Path(path).suffix.lower() not in TIFF_SUFFIXES and self.num_frames > 1
        self.fps = 1000 / next(iter(self._pages()))[1] if has_times else None
        self.depth = Depth(self._brightest, path)

    def timed(self) -> Iterator[TimedFrame]:
        """See ``FrameSource``."""
        first, count, time = None, 0, 0.0
        try:
            for page, duration in self._pages():
                image = self.depth.to_8_bits(page)
                first = first or image.shape
                check_same_size(image, first, f'{self.path}: page {count}')
                yield TimedFrame(image, time if self.fps else None)
                time += duration / 1000
                count += 1
        except InputError as error:
            if self.on_damage == 'stop' or not count:
                raise
            LOGGER.warning(
                '%s: %d of %d pages were used, up to this: %s',
                *(self.path, count, self.num_frames, error),
            )

    def _pages(self) -> Iterator[tuple[np.ndarray, float]]:
        """Pages [H, W, 3] (BGR) of uint8 or uint16 and how long each is shown, in milliseconds."""
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
        values = [int(page.max()) for page, _ in self._pages() if page.dtype == np.uint16]
        return max(values, default=0)


def _tiff_pages(path: str, count: int) -> Iterator[np.ndarray]:
    """The pages of a TIFF file, by OpenCV: Pillow reads no colours of 16 bits.

    Some at a time: each call goes through the file from its start.
    """
    start, at_once = 0, 1
    while start < count:
        with image_faults(path):
            _, pages = cv2.imreadmulti(path, start, at_once, flags=cv2.IMREAD_UNCHANGED)
            pages = [of_whole_numbers(in_colour(page)) for page in pages]
            if not pages:
                raise ValueError('no page')
        yield from pages
        start += len(pages)
        at_once = max(1, min(256, TIFF_BYTES // pages[0].nbytes))


def open_images(path: str, on_damage: str) -> FrameSource:
    """An image file as a video: its pages, or itself as the only frame."""
    if Path(path).suffix.lower() in PAGED_SUFFIXES:
        paged = PagedImage(path, on_damage)
        if paged.num_frames != 1:
            return paged
    return ImageFiles([path], path, on_damage)
