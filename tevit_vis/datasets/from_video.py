"""Cut a data set in YouTube-VIS layout from a video file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import write_json
from tevit_vis.video_io import open_source


@dataclass(frozen=True)
class CutClip:
    """Frames ``start, start + stride, ...`` of a video, ``length`` of them, as a video ``name``."""

    name: str
    start: int
    length: int
    stride: int

    @property
    def frames(self) -> range:
        """Frame numbers in the source."""
        return range(self.start, self.start + self.length * self.stride, self.stride)


def cut_clips(video: str, clips: Sequence[CutClip], width: int, folder: Path) -> tuple[Path, Path]:
    """Write frames of a video as a data set without annotations.

    Args:
        video: a video file.
        clips: what to cut.
        width: of the frames written, in pixels; the height keeps the shape.
        folder: gets ``annotations.json`` and ``JPEGImages/<clip>/00000.jpg`` and so on.

    Returns:
        The annotation file and the image folder.

    Raises:
        InputError: the video is shorter than a clip wants.
    """
    images = folder / 'JPEGImages'
    wanted: dict[int, list[Path]] = {}
    for clip in clips:
        (images / clip.name).mkdir(parents=True, exist_ok=True)
        for place, number in enumerate(clip.frames):
            wanted.setdefault(number, []).append(images / clip.name / f'{place:05d}.jpg')
    height = 0
    for number, image in enumerate(open_source(video)):
        height = round(image.shape[0] * width / image.shape[1])
        for path in wanted.pop(number, ()):
            small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(path), small)
        if not wanted:
            break
    if wanted:
        raise InputError(f'{video}: clips need frame {max(wanted)}, but it has only {number + 1}')
    videos = [
        {
            'id': index,
            'width': width,
            'height': height,
            'length': clip.length,
            'file_names': [f'{clip.name}/{place:05d}.jpg' for place in range(clip.length)],
        }
        for index, clip in enumerate(clips, start=1)
    ]
    annotations = folder / 'annotations.json'
    write_json({'videos': videos, 'categories': [], 'annotations': None}, annotations)
    return annotations, images
