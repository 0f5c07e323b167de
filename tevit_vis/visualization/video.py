"""Writes videos with their instances drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tevit_vis.structures import FrameInstances, VideoInstances
from tevit_vis.video import FrameSource, VideoWriter
from tevit_vis.video.formats import FASTEST, SLOWEST

from .draw import DrawStyle, FrameDrawer

IMAGES_FPS = 10.0  # for sources of images, which have no frame rate


def usable_rate(fps: float | None) -> float:
    """Returns a frame rate that a writer accepts, for that of a source: it may be None or extreme.

    Frames that have times of their own keep them, whatever the rate is.

    Example:
        >>> usable_rate(None), usable_rate(0.005)
        (10.0, 0.01)
    """
    return min(max(fps, SLOWEST), FASTEST) if fps else IMAGES_FPS


def draw_video(
    source: FrameSource,
    instances: VideoInstances,
    class_names: Sequence[str],
    path: str,
    fps: float | None = None,
    style: DrawStyle | None = None,
    on_frame: Callable[[], object] = lambda: None,
) -> None:
    """Writes a video of the frames with their instances drawn.

    Args:
        source: the frames of the instances; they are read once.
        instances: the first is drawn on top.
        class_names: name of each label.
        path: video file to write; its suffix decides on its kind.
        fps: frames per second; the default is the source's pace.
        style: what is drawn, and how; the default is masks, boxes, classes and scores.
        on_frame: called after each frame.

    Raises:
        InputError: the file cannot be written.
    """
    drawer = FrameDrawer(class_names, style)
    with VideoWriter(path, fps or usable_rate(source.fps), look=source.look) as writer:
        for index, (image, time) in zip(range(instances.num_frames), source.timed_frames()):
            drawn = drawer.draw(image, instances, index)
            writer.write(drawn, None if fps else time)
            on_frame()


def draw_stream(
    frames: Iterable[tuple[np.ndarray, FrameInstances]],
    class_names: Sequence[str],
    writer: VideoWriter,
    score_thr: float = 0.3,
    keep_pace: bool = True,
    style: DrawStyle | None = None,
) -> int:
    """Writes a video of frames with their tracks drawn, while the frames come.

    Ctrl-C ends the video. What an ``endless`` writer has written by then stays and can be played,
    also after an error.

    Args:
        frames: frames [H, W, 3] of uint8 in BGR, each with the tracks in it.
        class_names: name of each label.
        writer: writer of the video; it is closed at the end.
        score_thr: smallest score of a track that is drawn.
        keep_pace: show each frame at its own time, where it has one.
        style: what is drawn, and how; the default is masks, boxes, classes and scores.

    Returns:
        The number of frames.

    Raises:
        InputError: the file cannot be written.
    """
    count = 0
    drawer = FrameDrawer(class_names, style)
    with writer:
        try:
            for image, frame_instances in frames:
                tracks, instances = frame_instances.to_video_instances(score_thr)
                drawn = drawer.draw(image, instances, 0, tracks)
                writer.write(drawn, frame_instances.time if keep_pace else None)
                count += 1
        except KeyboardInterrupt:
            if not count:
                raise
    return count
