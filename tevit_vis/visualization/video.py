"""A video with its instances drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tevit_vis.structures import FrameInstances, VideoInstances
from tevit_vis.video import FrameSource, VideoWriter
from tevit_vis.video.formats import FASTEST, SLOWEST

from .draw import draw_frame

IMAGES_FPS = 10.0  # of sources that are images and know no rate


def usable_rate(fps: float | None) -> float:
    """Returns a rate for a writer from that of a source, which may know none or a strange one.

    Frames that have times keep them whatever the rate.

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
    zoom: int = 1,
    on_frame: Callable[[], object] = lambda: None,
) -> None:
    """Write a video of the frames with masks, boxes, classes and scores.

    Args:
        source: the frames that ``instances`` were found in; gone through once.
        instances: the first is drawn on top.
        class_names: by label.
        path: video file to write; its suffix decides on its kind.
        fps: frames per second; the default is the source's pace.
        zoom: enlarge small frames this often.
        on_frame: called after each frame.

    Raises:
        InputError: the file cannot be written.
    """
    with VideoWriter(path, fps or usable_rate(source.fps), look=source.look) as writer:
        for index, (image, time) in zip(range(instances.num_frames), source.timed()):
            drawn = draw_frame(image, instances, index, class_names, zoom)
            writer.write(drawn, None if fps else time)
            on_frame()


def draw_stream(
    frames: Iterable[tuple[np.ndarray, FrameInstances]],
    class_names: Sequence[str],
    writer: VideoWriter,
    score_thr: float = 0.3,
    keep_pace: bool = True,
) -> int:
    """Write a video of frames that come with their tracks, as they come.

    Ctrl-C ends it; then, as after an error, what an endless writer wrote stays, and is a whole
    file.

    Args:
        frames: [H, W, 3] of uint8 in BGR, and the tracks in them.
        class_names: by label.
        writer: of the video; it is closed at the end.
        score_thr: least score of a track that is drawn.
        keep_pace: show each frame at its own time, where it has one.

    Returns:
        The number of frames.

    Raises:
        InputError: the file cannot be written.
    """
    count = 0
    with writer:
        try:
            for image, found in frames:
                tracks, instances = found.above(score_thr)
                drawn = draw_frame(image, instances, 0, class_names, tracks=tracks)
                writer.write(drawn, found.time if keep_pace else None)
                count += 1
        except KeyboardInterrupt:
            if not count:
                raise
    return count
