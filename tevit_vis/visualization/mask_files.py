"""Writes the masks of tracks as index images, one per frame, as DAVIS and SAM 2 hold them."""

from __future__ import annotations

import os
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


class IndexMaskWriter:
    """Writes a PNG for each frame, whose pixels are the track number plus 1, and 0 for background.

    Images have a palette with the colours of drawn tracks. A frame in which a track with a number
    above 254 is written becomes a 16-bit image without palette.

    Args:
        folder: to write ``00000.png`` and so on; those of an earlier run are removed.
        score_thr: least score of the tracks that are written.

    Raises:
        InputError: the folder cannot be written, or has images that this writer did not make.

    Example:
        >>> import tempfile
        >>> empty = FrameInstances(0, [], np.zeros((0, 2)), np.zeros((0, 4)), [], size=(4, 6))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     IndexMaskWriter(folder, score_thr=0.3).write(empty)
        ...     Image.open(f'{folder}/00000.png').size
        (6, 4)
    """

    def __init__(self, folder: str | os.PathLike, score_thr: float) -> None:
        self.folder = Path(folder)
        self.score_thr = score_thr
        check_mask_folder(self.folder)
        with writing_faults(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in _frame_images(self.folder):
                path.unlink()
            (self.folder / MARK).touch()

    def write(self, instances: FrameInstances) -> None:
        """Writes the image of a frame; where tracks overlap, the one with the best score counts.

        Raises:
            InputError: the disk is full.
        """
        image = Image.fromarray(index_image(instances, self.score_thr))
        if image.mode == 'L':
            image.putpalette(PALETTE)  # makes it an image of mode P
        path = self.folder / f'{instances.frame:05d}.png'
        with writing_faults(path, 'the frames before are kept'):
            image.save(path)


def check_mask_folder(folder: str | os.PathLike) -> None:
    """Checks that the masks of a video may be written into a folder.

    Raises:
        InputError: it is a file, or has images of frames that ``IndexMaskWriter`` did not make.
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
    return [path for path in folder.glob('*.png') if path.stem.isdigit() and len(path.stem) >= 5]


def index_image(instances: FrameInstances, score_thr: float) -> np.ndarray:
    """Returns [H, W] of uint8 or uint16: the track number plus 1, and 0 for background.

    Args:
        instances: of a frame.
        score_thr: least score of the tracks that are written.

    Raises:
        InputError: a track number is too large for a pixel.
    """
    scores = instances.class_scores.max(1, initial=0)
    order = np.argsort(scores, kind='stable')
    written = [n for n in order.tolist() if scores[n] >= score_thr]
    largest = max((instances.tracks[n] + 1 for n in written), default=0)
    if largest > LARGEST_SHORT:
        raise InputError(
            f'masks: track numbers must be below {LARGEST_SHORT} to be pixels, but frame '
            f'{instances.frame} has {largest - 1}: leave --masks out of endless streams'
        )
    image = np.zeros(instances.size, np.uint8 if largest <= LARGEST_BYTE else np.uint16)
    for n in written:
        image[decode_rle(instances.masks[n])] = instances.tracks[n] + 1
    return image


def _palette() -> list[int]:
    """Returns the RGB values of the 256 colours of an image: black, then those of the tracks."""
    colors = [track_color(number)[::-1] for number in range(LARGEST_BYTE)]
    return [0, 0, 0, *(value for color in colors for value in color)]


PALETTE = _palette()
