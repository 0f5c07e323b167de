"""A video with its instances drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tevit_vis.structures import FrameInstances, VideoInstances
from tevit_vis.video_io import FrameSource
from tevit_vis.video_writer import VideoWriter

from .draw import draw_frame

IMAGES_FPS = 10.0  # of sources that are images and know no rate


def draw_video(
    source: FrameSource,
    instances: VideoInstances,
    class_names: Sequence[str],
    path: str,
    fps: float | None = None,
    zoom: int = 1,
    on_frame: Callable[[], object] = lambda: None,
) -> None:
    """Write an H.264 video of the frames with masks, boxes, classes and scores.

    Args:
        source: the frames that ``instances`` were found in; gone through once.
        instances: the first is drawn on top.
        class_names: by label.
        path: video file to write.
        fps: frames per second; the default is the source's.
        zoom: enlarge small frames this often.
        on_frame: called after each frame.

    Raises:
        InputError: the file cannot be written.
    """
    with VideoWriter(path, fps or source.fps or IMAGES_FPS) as writer:
        for index, image in zip(range(instances.num_frames), source):
            writer.write(draw_frame(image, instances, index, class_names, zoom))
            on_frame()


def draw_stream(
    frames: Iterable[tuple[np.ndarray, FrameInstances]],
    class_names: Sequence[str],
    path: str,
    fps: float | None = None,
    score_thr: float = 0.3,
) -> int:
    """Write an H.264 video of frames that come with their tracks, as they come.

    Ctrl-C ends it; then, as after an error, what was written stays, and is a whole file.

    Args:
        frames: [H, W, 3] of uint8 in BGR, and the tracks in them.
        class_names: by label.
        path: video file to write.
        fps: frames per second; the default is that of images.
        score_thr: least score of a track that is drawn.

    Returns:
        The number of frames.

    Raises:
        InputError: the file cannot be written.
    """
    count = 0
    with VideoWriter(path, fps or IMAGES_FPS, endless=True) as writer:
        try:
            for image, found in frames:
                tracks, instances = found.above(score_thr)
                writer.write(draw_frame(image, instances, 0, class_names, tracks=tracks))
                count += 1
        except KeyboardInterrupt:
            if not count:
                raise
    return count
