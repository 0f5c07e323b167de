"""Image files of several pages: a TIFF, an animated WebP or PNG."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, ImageSequence

from tevit_vis.utils.errors import InputError

from .images import Depth, ImageFiles, image_faults, in_colour, of_whole_numbers
from .source import FrameSource, TimedFrame, check_on_damage, check_same_size

LOGGER = logging.getLogger('tevit_vis')
TIFF_SUFFIXES = {'.tif', '.tiff'}
PAGED_SUFFIXES = {'.webp', '.png', *TIFF_SUFFIXES}
TIFF_BYTES = 128 << 20  # of the pages that are held at a time


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
