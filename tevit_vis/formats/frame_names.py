"""The file names of a video's frames, where the annotations do not give them."""

from __future__ import annotations

import os
from pathlib import Path

from tevit_vis.utils.errors import InputError
from tevit_vis.video.image_sources import list_images

from .base import ReadOptions

MAX_FRAMES = 1_000_000  # of a video: nine hours at 30 frames a second


def frame_names(
    name: str, length: int, options: ReadOptions, first: int = 0, step: int = 1
) -> list[str]:
    """Returns the file names of a video's frames, relative to the folder of frames.

    Images of the folder ``name``, or of the folder of frames itself where there is no such folder,
    are taken in natural order: all of them, or from ``first`` on each ``step``-th where there are
    more. Without a folder of frames names are made up, with the numbers of the video's frames.

    Args:
        name: of the video.
        length: number of its frames.
        options: of the conversion; a guess is noted.
        first: number, in the video, of the frame that is counted as 0.
        step: frames of the video from one to the next.

    Raises:
        InputError: the folder has too few images, the name points out of it, or there are more
            frames than any video has.

    Example:
        >>> frame_names('walk', 2, ReadOptions(), first=10, step=5)
        ['walk/000010.jpg', 'walk/000015.jpg']
    """
    if os.path.isabs(name) or '..' in name.split('/'):
        raise InputError(f'{name}: a video must lie in the folder of frames, but is elsewhere')
    if length > MAX_FRAMES:
        raise InputError(
            f'{name}: a video must have at most {MAX_FRAMES} frames, but has {length}: a number of '
            'a frame is wrong, or cut it into several'
        )
    numbers = [first + step * t for t in range(length)]
    if options.frames is None:
        options.log.guess(
            'file names of frames, as --frames is not given', f'{name}/{first:06d}.jpg'
        )
        return [f'{name}/{number:06d}.jpg' for number in numbers]
    folder = frame_folder(name, options)
    assert folder is not None, 'there is a folder of frames'
    files = list_images(folder) if folder.is_dir() else []
    if len(files) == length:
        chosen = files
    elif len(files) > numbers[-1]:
        chosen = [files[number] for number in numbers]
    else:
        raise InputError(
            f'{folder}: must have the {length} frames of {name}, but has {len(files)} images'
        )
    return [Path(os.path.relpath(file, options.frames)).as_posix() for file in chosen]


def frame_folder(name: str, options: ReadOptions) -> Path | None:
    """Returns the folder with a video's frames; None without a folder of frames."""
    if options.frames is None:
        return None
    folder = Path(options.frames, name)
    return folder if folder.is_dir() else Path(options.frames)
