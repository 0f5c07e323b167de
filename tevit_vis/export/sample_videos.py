"""Videos on which an export measures ranges of values, and compares graphs with their model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import cv2
import numpy as np

from tevit_vis.utils.errors import InputError
from tevit_vis.video import open_source

NUM_CLIPS = 16  # that are measured, at least, of all videos together if they are long enough
LEAST_STEP, LARGEST_STEP = 16, 256  # frames from the start of a clip to that of the next


def read_frames(video: str, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yields the frames [H, W, 3] (uint8, BGR) of a video, resized.

    Args:
        video: a file, or a folder of images.
        size: (W, H) of the frames.

    Raises:
        InputError: the video cannot be read, or never ends.
    """
    source = open_source(video)
    if source.is_live:
        raise InputError(f'--calibrate: must be files or folders of images, but {video} is live')
    for image in source:
        yield cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def start_of_video(video: str, num_frames: int, size: tuple[int, int]) -> np.ndarray:
    """Returns the first frames [T, H, W, 3] of a video, resized; the last one goes on if needed.

    Args:
        video: see ``read_frames``.
        num_frames: T.
        size: (W, H) of the frames.
    """
    frames = list(islice(read_frames(video, size), num_frames))
    return np.stack([*frames, *frames[-1:] * (num_frames - len(frames))])


def read_clips(videos: Sequence[str], num_frames: int, size: tuple[int, int]) -> list[np.ndarray]:
    """Returns clips [T, H, W, 3] (uint8, BGR) of videos, spread over the first minutes of each.

    Args:
        videos: see ``read_frames``.
        num_frames: T; a video that ends before goes on with its last frame.
        size: (W, H) of the frames.
    """
    clips = []
    num_clips = -(-NUM_CLIPS // max(1, len(videos)))
    for video in videos:
        step = (open_source(video).num_frames or 0) // num_clips
        step = max(num_frames, LEAST_STEP, min(step, LARGEST_STEP))
        frames = enumerate(islice(read_frames(video, size), step * (num_clips - 1) + num_frames))
        kept = [image for t, image in frames if t % step < num_frames]
        for start in range(0, len(kept), num_frames):
            part = kept[start : start + num_frames]
            clips.append(np.stack([*part, *part[-1:] * (num_frames - len(part))]))
    return clips


def shapes_video(num_frames: int, size: tuple[int, int]) -> np.ndarray:
    """Returns a video [T, H, W, 3] (uint8) of discs that move over a background of noise.

    Example:
        >>> shapes_video(2, (8, 6)).shape
        (2, 6, 8, 3)
    """
    rng = np.random.default_rng(0)
    width, height = size
    video = np.repeat(rng.integers(0, 80, (1, height, width, 3), dtype=np.uint8), num_frames, 0)
    y, x = np.mgrid[:height, :width]
    for _ in range(4):
        centre, step = rng.uniform(0.2, 0.8, 2), rng.uniform(-0.05, 0.05, 2)
        colour, radius = rng.integers(100, 256, 3), rng.uniform(0.1, 0.25) * height
        for t in range(num_frames):
            cy, cx = (centre + t * step) * (height, width)
            video[t][(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = colour
    return video
