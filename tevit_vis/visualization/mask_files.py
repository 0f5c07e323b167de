"""Writes the masks of tracks as index images, one per frame, as DAVIS and SAM 2 hold them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from tevit_vis.rle import decode_rle
from tevit_vis.structures import FrameInstances
from tevit_vis.utils.files import writing_faults

from .draw import track_color

LARGEST_BYTE = 255


class IndexMaskWriter:
    """Writes a PNG for each frame, whose pixels are the track number plus 1, and 0 for background.

    Images have a palette with the colours of drawn tracks. A frame with a track whose number plus 1
    is above 255 becomes a 16-bit image without palette.

    Args:
        folder: to write ``00000.png`` and so on; images of these names that are there are removed.
        score_thr: least score of the tracks that are written.

    Raises:
        InputError: the folder cannot be written.

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
        with writing_faults(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in self.folder.glob('[0-9][0-9][0-9][0-9][0-9]*.png'):
                if path.stem.isdigit():
                    path.unlink()

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


def index_image(instances: FrameInstances, score_thr: float) -> np.ndarray:
    """Returns [H, W] of uint8 or uint16: the track number plus 1, and 0 for background.

    Args:
        instances: of a frame.
        score_thr: least score of the tracks that are written.
    """
    numbers = np.asarray(instances.tracks, np.int64) + 1
    is_large = len(numbers) and numbers.max() > LARGEST_BYTE
    image = np.zeros(instances.size, np.uint16 if is_large else np.uint8)
    scores = instances.class_scores.max(1, initial=0)
    for n in np.argsort(scores, kind='stable'):
        if scores[n] >= score_thr:
            image[decode_rle(instances.masks[n])] = numbers[n]
    return image


def _palette() -> list[int]:
    """Returns the RGB values of the 256 colours of an image: black, then those of the tracks."""
    colors = [track_color(number)[::-1] for number in range(LARGEST_BYTE)]
    return [0, 0, 0, *(value for color in colors for value in color)]


PALETTE = _palette()
