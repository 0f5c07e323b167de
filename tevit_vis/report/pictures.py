"""The frames of videos as small JPEGs, and a strip of drawn frames for the list of videos."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from tevit_vis.annotated_videos import Video
from tevit_vis.structures import VideoInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import writing_faults
from tevit_vis.video.images import read_image
from tevit_vis.visualization.draw import DrawStyle, FrameDrawer

JPEG_QUALITY = 50
STRIP_FRAMES = 5
STRIP_HEIGHT = 54  # pixels


@dataclass(frozen=True)
class VideoPictures:
    """The pictures of a video.

    Args:
        faults: {frame: why it has no picture}.
        has_strip: whether the strip could be made.
    """

    faults: dict[int, str] = field(default_factory=dict)
    has_strip: bool = False


def write_pictures(
    video: Video,
    root: str,
    folder: str,
    width: int,
    instances: VideoInstances,
    class_names: Sequence[str],
) -> VideoPictures:
    """Writes ``frames/ID/T.jpg`` for each frame T of a video, and ``strips/ID.jpg``.

    A frame that is absent, unreadable or of another size has no picture.

    Args:
        video: of an annotation file.
        root: folder that its file names are relative to.
        folder: of the report.
        width: of the pictures in pixels, at most.
        instances: drawn in the strip.
        class_names: name of each label of the instances.

    Raises:
        InputError: a picture cannot be written.
    """
    frames = os.path.join(folder, 'frames', str(video.id))
    os.makedirs(frames, exist_ok=True)
    faults: dict[int, str] = {}
    thumbs: list[np.ndarray] = []
    strip_frames = _strip_frames(video)
    drawer = FrameDrawer(class_names, DrawStyle(parts=('masks',)))
    for t, name in enumerate(video.file_names):
        try:
            image = _read_frame(os.path.join(root, name), video)
        except InputError as error:
            faults[t] = str(error)
            continue
        _write_jpeg(_shrunk(image, width), os.path.join(frames, f'{t}.jpg'))
        if t in strip_frames:
            drawn = drawer.draw(image, instances, t) if len(instances) else image
            thumbs.append(_thumb(drawn, video))
    return VideoPictures(faults, _write_thumbs(thumbs, video, folder))


def write_strip(
    video: Video, root: str, folder: str, instances: VideoInstances, class_names: Sequence[str]
) -> bool:
    """Writes ``strips/ID.jpg`` alone; returns whether any of its frames could be read.

    Args:
        video, root, folder, instances, class_names: see ``write_pictures``.

    Raises:
        InputError: the picture cannot be written.
    """
    drawer = FrameDrawer(class_names, DrawStyle(parts=('masks',)))
    thumbs = []
    for t in sorted(set(_strip_frames(video).tolist())):
        try:
            image = _read_frame(os.path.join(root, video.file_names[t]), video)
        except InputError:
            continue
        thumbs.append(_thumb(drawer.draw(image, instances, t) if len(instances) else image, video))
    return _write_thumbs(thumbs, video, folder)


def _strip_frames(video: Video) -> np.ndarray:
    """Returns the frames of a video that its strip shows."""
    return np.linspace(0, video.num_frames - 1, STRIP_FRAMES).round().astype(int)


def _thumb(image: np.ndarray, video: Video) -> np.ndarray:
    return _shrunk(image, max(1, STRIP_HEIGHT * video.width // video.height))


def _write_thumbs(thumbs: Sequence[np.ndarray], video: Video, folder: str) -> bool:
    """Writes the pictures of a strip side by side; returns whether there are any."""
    if thumbs:
        os.makedirs(os.path.join(folder, 'strips'), exist_ok=True)
        _write_jpeg(np.hstack(thumbs), os.path.join(folder, 'strips', f'{video.id}.jpg'))
    return bool(thumbs)


def _read_frame(path: str, video: Video) -> np.ndarray:
    """Returns a frame [H, W, 3] of the size that the annotation file says.

    Raises:
        InputError: it is absent, unreadable or of another size.
    """
    if not os.path.isfile(path):
        raise InputError(f'{path}: is not there')
    image = read_image(path)
    height, width = image.shape[:2]
    if (height, width) != (video.height, video.width):
        raise InputError(
            f'{path}: must be {video.width}x{video.height} as the annotation file says, but is '
            f'{width}x{height}'
        )
    return image


def _shrunk(image: np.ndarray, width: int) -> np.ndarray:
    """Returns an image that is at most so wide."""
    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _write_jpeg(image: np.ndarray, path: str) -> None:
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    with writing_faults(path), open(path, 'wb') as file:
        file.write(data.tobytes())
