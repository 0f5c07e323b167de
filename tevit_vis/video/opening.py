"""Opens whatever a user may give as a video."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from tevit_vis.utils.errors import InputError

from .arrays import FrameArray, FrameIterable
from .camera import Camera
from .files import VideoFile
from .image_sources import ImageFiles, PagedImage, list_images, natural_key, open_image_file
from .images import IMAGE_SUFFIXES
from .source import FrameSource, VideoInput
from .streams import VideoStream

VIDEO_SUFFIXES = {
    *('.mp4', '.m4v', '.mov', '.mkv', '.webm', '.avi', '.gif', '.ts', '.mts', '.m2ts', '.mpg'),
    *('.mpeg', '.wmv', '.flv', '.ogv', '.3gp', '.mxf', '.vob'),
}


def open_source(video: VideoInput, on_damage: str = 'keep') -> FrameSource:
    """Opens a video as a source of frames.

    Args:
        video: a video file, also a TIFF of several pages or an animated WebP or PNG; a folder of
            images, in natural order; a list of image files; an array or tensor [T, H, W, 3]
            (uint8, BGR); a list or generator of arrays [H, W, 3] or Pillow images; the URL of a
            stream (rtsp://, http://, ...); the number of a camera, or a ``cv2.VideoCapture``; or a
            source, which is returned as it is.
        on_damage: what to do with damaged files and images: ``keep``, ``skip`` or ``stop``, see
            ``VideoFile``.

    Raises:
        InputError: the video is none of these, or has no frame.

    Example:
        >>> open_source(np.zeros((5, 4, 6, 3), np.uint8)).num_frames
        5
    """
    if isinstance(video, FrameSource):
        return video
    if isinstance(video, (int, cv2.VideoCapture)) and not isinstance(video, bool):
        return Camera(video)
    if isinstance(video, str) and '://' in video and not os.path.exists(video):
        return VideoStream(video, on_damage=on_damage)
    if hasattr(video, 'detach'):  # a tensor; torch is not imported for other videos
        video = video.detach().cpu().numpy()
    if isinstance(video, np.ndarray):
        return FrameArray(video)
    if isinstance(video, (str, os.PathLike)):
        return _open_path(Path(video), on_damage)
    if isinstance(video, Sequence) and all(isinstance(f, (str, os.PathLike)) for f in video):
        return ImageFiles([str(file) for file in video], 'the list of images', on_damage)
    if isinstance(video, Iterable) and not isinstance(video, (bytes, dict)):
        return FrameIterable(video)
    raise InputError(
        'video must be a video file, a folder or list of images, an array [T, H, W, 3], frames, a '
        f'URL or the number of a camera, but got {type(video).__name__}'
    )


def _open_path(path: Path, on_damage: str) -> FrameSource:
    """Opens a video file, an image file or a folder of images."""
    if os.path.isdir(path):
        files = list_images(path)
        if len(files) == 1:
            return open_image_file(files[0], on_damage)
        return ImageFiles(files, str(path), on_damage)
    if path.suffix.lower() in IMAGE_SUFFIXES and os.path.isfile(path):
        return open_image_file(str(path), on_damage)
    source = VideoFile(str(path), on_damage)
    if path.suffix.lower() == '.gif' and source.num_packets < (source.num_frames or 0):
        # ffmpeg finds only one frame in a GIF that has no control blocks.
        return PagedImage(str(path), on_damage)
    return source


def expand_inputs(names: Sequence[str]) -> list[str | int]:
    """Returns the videos that arguments of a command line name: paths, URLs, camera numbers.

    A folder of videos and a pattern such as ``clips/*.mp4`` give one path for each video.

    Raises:
        InputError: a pattern matches no file.

    Example:
        >>> expand_inputs(['a.mp4', '0', 'rtsp://host/1'])
        ['a.mp4', 0, 'rtsp://host/1']
    """
    inputs: list[str | int] = []
    for name in names:
        if os.path.isdir(name):
            inputs += _videos_of(name)
        elif os.path.exists(name) or '://' in name:
            inputs.append(name)
        elif name.isdecimal():
            inputs.append(int(name))
        elif glob.has_magic(name):
            paths = sorted(glob.glob(name, recursive=True), key=natural_key)
            paths = [path for path in paths if '.unfinished' not in path]
            if not paths:
                raise InputError(f'{name}: must match at least one file, but matches none')
            inputs += paths
        else:
            inputs.append(name)
    return inputs


def _videos_of(folder: str) -> list[str]:
    """Returns the video files of a folder, or the folder itself if it has images or no videos."""
    if list_images(Path(folder)):
        return [folder]
    videos = [
        path.name
        for path in Path(folder).iterdir()
        if path.suffix.lower() in VIDEO_SUFFIXES
        and not path.name.startswith('.')
        and '.unfinished' not in path.name
    ]
    return [os.path.join(folder, name) for name in sorted(videos, key=natural_key)] or [folder]
