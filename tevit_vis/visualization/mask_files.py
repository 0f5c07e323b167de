"""Writes the masks of tracks as images, frame by frame, in the forms that other tools read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tevit_vis.rle import decode_rle
from tevit_vis.structures import FrameInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import writing_faults

from .draw import track_color

LARGEST_BYTE, LARGEST_SHORT = 255, 65535  # values of pixels of 8 and of 16 bits
MARK = '.index_masks'  # a file in each folder that the writer made, which it may clear
MOTS_CLASS = 1000  # a pixel of MOTS is class * 1000 + number
RGBA_OPACITY = 160  # of 255


class MaskWriter:
    """Writes the masks of a video into a folder, frame by frame.

    Args:
        folder: to write; images of an earlier run are removed.
        score_thr: least score of the tracks that are written.
        form: of ``MASK_FORMS``.

    Raises:
        InputError: the folder cannot be written, or has images that this writer did not make.

    Example:
        >>> import tempfile
        >>> empty = FrameInstances(0, [], np.zeros((0, 2)), np.zeros((0, 4)), [], size=(4, 6))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     MaskWriter(folder, score_thr=0.3).write(empty)
        ...     Image.open(f'{folder}/00000.png').size
        (6, 4)
    """

    def __init__(self, folder: str | os.PathLike, score_thr: float, form: str = 'index') -> None:
        self.folder = Path(folder)
        self.score_thr = score_thr
        self.images_of = MASK_FORMS[form]
        check_mask_folder(self.folder)
        with writing_faults(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in _frame_images(self.folder):
                path.unlink()
            (self.folder / MARK).touch()

    def write(self, instances: FrameInstances) -> None:
        """Writes the images of a frame.

        Raises:
            InputError: the disk is full, or a number does not fit the pixels.
        """
        scores = instances.class_scores.max(1, initial=0)
        order = np.argsort(scores, kind='stable')  # the best comes last, and on top
        written = instances.select(order[scores[order] >= self.score_thr].tolist())
        for name, image in self.images_of(written):
            path = self.folder / name
            with writing_faults(path, 'the frames before are kept'):
                path.parent.mkdir(exist_ok=True)
                image.save(path)


def check_mask_folder(folder: str | os.PathLike) -> None:
    """Checks that the masks of a video may be written into a folder.

    Raises:
        InputError: it is a file, or has images of frames that ``MaskWriter`` did not make.
    """
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise InputError(f'{path}: masks must go to a folder, but it is a file')
    if path.is_dir() and not (path / MARK).exists() and _frame_images(path):
        raise InputError(
            f'{path}: masks must go to a folder of their own, but it has images of frames: '
            'name another one'
        )


def _frame_images(folder: Path) -> list[Path]:
    """Returns the images of a folder that are called like those of the writer."""
    paths = [*folder.glob('*.png'), *folder.glob('[0-9]*/*.png')]
    return [path for path in paths if path.stem.isdigit() and len(path.stem) >= 5]


def _index_images(instances: FrameInstances) -> Iterator[tuple[str, Image.Image]]:
    """Yields one image: pixels are the track number plus 1, and 0 for background.

    It has the colours of drawn tracks; with a track number above 254 it has 16 bits and none.
    """
    numbers = [track + 1 for track in instances.tracks]
    largest = max(numbers, default=0)
    _check_numbers(largest, instances)
    pixels = np.zeros(instances.size, np.uint8 if largest <= LARGEST_BYTE else np.uint16)
    for number, mask in zip(numbers, instances.masks):
        pixels[decode_rle(mask)] = number
    image = Image.fromarray(pixels)
    if image.mode == 'L':
        image.putpalette(PALETTE)  # makes it an image of mode P
    yield f'{instances.frame:05d}.png', image


def _mots_images(instances: FrameInstances) -> Iterator[tuple[str, Image.Image]]:
    """Yields one image of 16 bits: pixels are class * 1000 + track; classes count from 1."""
    pixels = np.zeros(instances.size, np.uint16)
    for track, scores, mask in zip(instances.tracks, instances.class_scores, instances.masks):
        number = (int(scores.argmax()) + 1) * MOTS_CLASS + track
        if track >= MOTS_CLASS:
            raise InputError(
                f'masks: MOTS has track numbers below {MOTS_CLASS}, but frame {instances.frame} '
                f'has {track}: take --mask-form index'
            )
        _check_numbers(number, instances)
        pixels[decode_rle(mask)] = number
    yield f'{instances.frame:05d}.png', Image.fromarray(pixels)


def _object_images(instances: FrameInstances) -> Iterator[tuple[str, Image.Image]]:
    """Yields an image of 0 and 255 for each track that is seen, in a folder of its own (SAM 2)."""
    for track, mask in zip(instances.tracks, instances.masks):
        pixels = decode_rle(mask).astype(np.uint8) * LARGEST_BYTE
        yield f'{track:03d}/{instances.frame:05d}.png', Image.fromarray(pixels)


def _transparent_images(instances: FrameInstances) -> Iterator[tuple[str, Image.Image]]:
    """Yields one image with the colours of tracks, which can be laid over the frame."""
    pixels = np.zeros((*instances.size, 4), np.uint8)
    for track, mask in zip(instances.tracks, instances.masks):
        pixels[decode_rle(mask)] = (*track_color(track)[::-1], RGBA_OPACITY)
    yield f'{instances.frame:05d}.png', Image.fromarray(pixels)


MASK_FORMS: dict[str, Callable[[FrameInstances], Iterator[tuple[str, Image.Image]]]] = {
    'index': _index_images,
    'per-object': _object_images,
    'rgba': _transparent_images,
    'mots': _mots_images,
}


def _check_numbers(largest: int, instances: FrameInstances) -> None:
    """Checks that a number fits a pixel of 16 bits.

    Raises:
        InputError: it does not.
    """
    if largest > LARGEST_SHORT:
        raise InputError(
            f'masks: numbers of pixels must be at most {LARGEST_SHORT}, but frame '
            f'{instances.frame} has {largest}: take --mask-form per-object or rgba'
        )


def _palette() -> list[int]:
    """Returns the RGB values of the 256 colours of an image: black, then those of the tracks."""
    colors = [track_color(number)[::-1] for number in range(LARGEST_BYTE)]
    return [0, 0, 0, *(value for color in colors for value in color)]


PALETTE = _palette()
