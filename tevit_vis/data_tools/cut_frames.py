"""Writes the frames of videos as images, which is what data sets consist of."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import unfinished_folder, writing_faults
from tevit_vis.video import FrameSource
from tevit_vis.video.image_sources import list_images

QUALITY = 95  # of JPEGs


def frames_on_disk(video: str, root: str) -> list[str] | None:
    """Returns the file names of a video that is a folder of images inside of ``root``.

    It returns None for every other video, whose frames must be cut out.

    Args:
        video: folder or file.
        root: folder that names are relative to.
    """
    folder, top = os.path.realpath(video), os.path.realpath(root)
    if not os.path.isdir(folder) or not f'{folder}{os.sep}'.startswith(f'{top}{os.sep}'):
        return None
    return [Path(os.path.relpath(file, top)).as_posix() for file in list_images(Path(folder))]


def cut_frames(
    source: FrameSource, root: str, name: str, on_frame: Callable[[], object] = lambda: None
) -> list[str]:
    """Writes the frames of a video as ``ROOT/NAME/000000.jpg`` and so on.

    Args:
        source: of ``open_source``.
        root: folder of all frames.
        name: of the video; ``ROOT/NAME`` must not be there.
        on_frame: called after each frame.

    Returns:
        The file names, relative to ``root``.

    Raises:
        InputError: the folder is there, or cannot be written; nothing half-written stays.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from tevit_vis.video import open_source
        >>> with tempfile.TemporaryDirectory() as root:
        ...     cut_frames(open_source(np.zeros((2, 4, 6, 3), np.uint8)), root, 'walk')
        ['walk/000000.jpg', 'walk/000001.jpg']
    """
    folder = os.path.join(root, name)
    if os.path.lexists(folder):
        raise InputError(
            f'{folder}: frames must go to a new folder, but it is there already: '
            'remove it, or name another'
        )
    names: list[str] = []
    with writing_faults(root):
        os.makedirs(root, exist_ok=True)
    with unfinished_folder(folder) as unfinished:
        for t, frame in enumerate(source.timed_frames()):
            _, data = cv2.imencode('.jpg', frame.image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            Path(unfinished, f'{t:06d}.jpg').write_bytes(data.tobytes())
            names.append(f'{name}/{t:06d}.jpg')
            on_frame()
    return names
