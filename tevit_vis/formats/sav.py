"""SA-V: a JSON file per video with masklets, in every fourth frame (SAM 2's data set)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tevit_vis.mask_checks import check_size, rle_faults
from tevit_vis.rle import to_rle
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError

from .base import Format, ReadOptions, register
from .builder import ContentBuilder
from .frame_names import frame_names
from .index_images import only_class
from .json_input import json_keys, read_content

STEP = 4  # frames of the video from one that is annotated to the next: 6 of 24 in a second


class SegmentAnythingVideo(Format):
    """Reads SA-V's files, one or a folder; the masklets have no classes."""

    name = 'sav'
    title = 'SA-V JSON (SAM 2)'

    def recognises(self, path: str) -> bool:
        """Whether it is a JSON file with masklets, or a folder with one."""
        return any('masklet' in json_keys(str(file)) for file in _files(path)[:1])

    def read(self, path: str, options: ReadOptions) -> dict[str, Any]:
        """Returns the masklets in the annotated frames.

        Raises:
            InputError: a file breaks a rule.
        """
        builder = ContentBuilder(options.categories, options.log)
        label = only_class(options)
        for file in _files(path):
            _read_file(str(file), builder, label, options)
            options.on_video()
        return builder.content()


def _files(path: str) -> list[Path]:
    root = Path(path)
    return sorted(root.glob('*.json')) if root.is_dir() else [root]


def _read_file(path: str, builder: ContentBuilder, label: str, options: ReadOptions) -> None:
    """Adds the video of a file and its masklets."""
    content = read_content(path)
    try:
        name = str(content['video_id'])
        # SA-V writes sizes as floats.
        size = check_size([int(content['video_height']), int(content['video_width'])])
        frames = [list(frame) for frame in content['masklet']]
        numbers = list(content['masklet_id'])
        if any(len(frame) != len(numbers) for frame in frames) or not frames:
            raise ValueError('each frame must have a mask for each "masklet_id"')
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f'{path}: must have video_id, video_height, video_width, masklet and masklet_id, '
            f'but: {error}'
        ) from None
    names = frame_names(name, len(frames), options, step=STEP)
    # The manual and the automatic masklets of a video are two files.
    title = Path(path).stem if name in builder.names else name
    video = builder.add_video(title, size[1], size[0], names)
    for place, number in enumerate(numbers):
        masks: dict[int, RLE] = {}
        for t, frame in enumerate(frames):
            where = f'{path}: masklet[{t}][{place}]'
            try:
                mask = to_rle(frame[place], *size) if frame[place] else None
            except (TypeError, ValueError) as error:
                raise InputError(f'{where}: {error}') from None
            if mask is None:
                continue
            (fault,) = rle_faults([mask['counts']], [size[0] * size[1]])
            if fault or mask['size'] != list(size):
                reason = fault or f'size {mask["size"]} is not that of the video, {list(size)}'
                raise InputError(f'{where}: {reason}')
            masks[t] = mask
        builder.add_track(video, label, masks, f'{path}: masklet {number}')


register(SegmentAnythingVideo())
