"""Decoding for video files and streams: from packets to upright frames; damage is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any, cast

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream as AVStream

from tevit_vis.utils.errors import InputError

from .source import TimedFrame, VideoLook, check_same_size

UNSPECIFIED = 2  # means 'unspecified' in ITU-T H.273
NUM_PROBED = 100  # packets that are read to find the busiest stream
SMALLEST_STEP_BACK = 0.3  # seconds; frames that are out of order step back by less
LONGEST_GAP = 10.0  # seconds between frames of a broadcast; after more, its clock was reset
RGB_FORMATS = ('rgb', 'bgr', 'gbr', 'argb', 'abgr', 'pal8', '0rgb', '0bgr')


@dataclass
class DecodingStats:
    """Counts what a decoder gave and what was lost.

    Args:
        num_decoded: frames that were decoded and passed on.
        num_lost: packets that could not be decoded.
        num_concealed: decoded frames with damaged parts, which the decoder filled in.
        num_discarded: packets that the file's edit list leaves out.
        read_error: the error that ended reading before the end, if there was one.
    """

    num_decoded: int = 0
    num_lost: int = 0
    num_concealed: int = 0
    num_discarded: int = 0
    read_error: av.error.FFmpegError | None = None


def video_stream(container: InputContainer, name: str, index: int | None = None) -> AVStream:
    """Returns the video stream of a container; cover pictures do not count.

    Args:
        name: names the container in errors.
        index: index of the stream where it is known, such as that of ``busiest_stream``.

    Raises:
        InputError: the container has no video stream.
    """
    if index is not None:
        return cast(AVStream, container.streams[index])
    streams = [stream for stream in container.streams.video if _is_video(stream)]
    if not streams:
        what = 'a cover picture alone' if container.streams.video else 'none'
        raise InputError(f'{name}: file must have a video stream, but it has {what}')
    best = container.streams.best('video')
    return best if best in streams else streams[0]


def busiest_stream(container: InputContainer, name: str) -> int:
    """Returns the index of the video stream that has the most packets at the start of a file.

    A file may hold still pictures beside its video, and ffmpeg's own choice may be one of them.

    Raises:
        InputError: the file has no video stream.
    """
    best = video_stream(container, name)
    streams = [stream for stream in container.streams.video if _is_video(stream)]
    if len(streams) < 2:
        return best.index
    counts: Counter = Counter()
    try:
        for packet in islice(container.demux(streams), NUM_PROBED):
            counts[packet.stream.index] += packet.size > 0
    except av.error.FFmpegError:  # the file is damaged: the packets before that count
        pass
    return max(streams, key=lambda stream: (counts[stream.index], stream == best)).index


def _is_video(stream: AVStream) -> bool:
    """Whether a stream is not marked as a cover picture."""
    return not stream.disposition & av.stream.Disposition.attached_pic


def decode_packets(
    container: InputContainer, stream: AVStream, damage: DecodingStats
) -> Iterator[av.VideoFrame]:
    """Yields the decoded frames of a stream; skips and counts what cannot be decoded."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            damage.num_discarded += packet.is_discard
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            damage.read_error = error
            packet = None  # the decoder may still hold frames
        try:
            yield from stream.decode(packet)
        except av.error.FFmpegError:
            damage.num_lost += 1
        if packet is None:
            return


def upright_frames(
    container: InputContainer, stream: AVStream, name: str, damage: DecodingStats, on_damage: str
) -> Iterator[TimedFrame]:
    """Yields the frames of a stream upright, as a player shows them, with their times.

    Args:
        name: names the source in errors.
        damage: its counts are increased while frames are decoded.
        on_damage: see ``VideoFile``.

    Raises:
        InputError: a frame has another size than the first one, or is damaged and ``on_damage`` is
            ``stop``.
    """
    first_shape = None
    reformat = PixelFormatConverter()
    clock = FrameClock(container, stream)
    for decoded in decode_packets(container, stream, damage):
        if on_damage == 'stop' and (damage.num_lost or decoded.is_corrupt):
            raise InputError(
                f'{name}: video must be whole, but is damaged at frame {damage.num_decoded}'
            )
        if decoded.is_corrupt:
            damage.num_concealed += 1
            if on_damage == 'skip':
                continue
        try:
            image = to_image(decoded, reformat)
        except (av.error.FFmpegError, MemoryError):  # the description of the pixels is damaged
            damage.num_lost += 1
            continue
        first_shape = first_shape or image.shape
        check_same_size(image, first_shape, f'{name}: frame {damage.num_decoded}')
        damage.num_decoded += 1
        yield TimedFrame(image, clock.time_of(decoded))


class FrameClock:
    """Gives decoded frames their times in seconds from the start, each later than the last.

    Time stamps of files can be wrong. Where presentation times (PTS) are absent, or run backward
    more often than decoding times (DTS), the decoding times are used, as ffmpeg does. Where the
    clock of a joined or interrupted broadcast is reset, the times go on from the last frame.
    """

    def __init__(self, container: InputContainer, stream: AVStream) -> None:
        self.step = 1 / float(stream.average_rate) if stream.average_rate else 0.04
        start = container.start_time
        self.origin = None if start is None else start / av.time_base
        self.may_jump = bool(container.format.flags & av.format.Flags.ts_discont.value)
        self.last_time: float | None = None
        self.last_stamps: dict[str, int] = {}
        # AVI has no presentation times: its PTS only count packets.
        self.num_backward = {'pts': int(container.format.name == 'avi'), 'dts': 0}

    def time_of(self, decoded: av.VideoFrame) -> float:
        """Returns the time of the next decoded frame in seconds."""
        stamp = self._best_stamp(decoded.pts, decoded.dts)
        if stamp is None or decoded.time_base is None:
            self.last_time = 0.0 if self.last_time is None else self.last_time + self.step
            return self.last_time
        seconds = float(stamp * decoded.time_base)
        if self.origin is None:
            self.origin = seconds
        time = seconds - self.origin
        last = self.last_time
        if last is not None:
            step_back = max(SMALLEST_STEP_BACK, 3 * self.step)
            has_jumped = time < last - step_back or (self.may_jump and time > last + LONGEST_GAP)
            if has_jumped:  # the clock was reset: this frame follows the last one
                self.origin = seconds - last - self.step
                time = last + self.step
            elif time <= last:
                time = last + self.step / 10
        self.last_time = time
        return time

    def _best_stamp(self, pts: int | None, dts: int | None) -> int | None:
        """Returns the PTS, or the DTS where PTS are absent or run backward more often."""
        for name, value in (('pts', pts), ('dts', dts)):
            if value is not None:
                self.num_backward[name] += value <= self.last_stamps.get(name, value - 1)
                self.last_stamps[name] = value
        prefers_pts = self.num_backward['pts'] <= self.num_backward['dts']
        return dts if pts is None or (dts is not None and not prefers_pts) else pts


class PixelFormatConverter:
    """Converts frames between pixel formats with ffmpeg, in one thread.

    It is set up once; ``frame.reformat`` would set up a converter with its own threads per frame.
    """

    def __init__(self) -> None:
        self.reformatter = VideoReformatter()
        self.thread_options: dict[str, Any] = {'threads': 1}

    def __call__(self, frame: av.VideoFrame, **options: Any) -> av.VideoFrame:
        """Returns the frame in another format; options are those of ``av.VideoFrame.reformat``."""
        try:
            return self.reformatter.reformat(frame, **options, **self.thread_options)
        except TypeError:  # PyAV 15 has no option for threads
            self.thread_options = {}
            return self.reformatter.reformat(frame, **options)


def to_image(decoded: av.VideoFrame, reformat: PixelFormatConverter) -> np.ndarray:
    """Returns a decoded frame as [H, W, 3] in BGR, turned and flipped by its display matrix."""
    image = reformat(decoded, format='bgr24', interpolation='BICUBIC').to_ndarray()
    matrix = display_matrix(decoded)
    return image if matrix is None else np.ascontiguousarray(apply_display_matrix(image, matrix))


def display_matrix(decoded: av.VideoFrame) -> np.ndarray | None:
    """Returns the upper left [2, 2] of a frame's display matrix, None where there is none."""
    data = decoded.side_data.get('DISPLAYMATRIX')
    if data is None:
        return None
    return np.frombuffer(data, np.int32)[:9].reshape(3, 3)[:2, :2] / (1 << 16)


def apply_display_matrix(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Turns and flips an image by the quarter turn and mirroring nearest to a display matrix.

    Args:
        image: [H, W, ...] as it is stored.
        matrix: [2, 2]; a stored pixel (x, y) is shown at (x, y) @ matrix.

    Example:
        >>> apply_display_matrix(np.array([[1, 2], [3, 4]]), np.array([[0, 1], [-1, 0]])).tolist()
        [[3, 1], [4, 2]]
    """
    if is_transposed(matrix):
        image = np.swapaxes(image, 0, 1)
        x_scale, y_scale = matrix[1, 0], matrix[0, 1]
    else:
        x_scale, y_scale = matrix[0, 0], matrix[1, 1]
    return image[:: -1 if y_scale < 0 else 1, :: -1 if x_scale < 0 else 1]


def is_transposed(matrix: np.ndarray) -> bool:
    """Whether a display matrix [2, 2] swaps width and height.

    Example:
        >>> is_transposed(np.array([[0, 1], [-1, 0]]))
        True
    """
    return bool(np.abs([matrix[0, 1], matrix[1, 0]]).sum() > np.abs(np.diag(matrix)).sum())


def look_of(container: InputContainer, stream: AVStream) -> VideoLook:
    """Returns how the pixels of a stream are meant; this reads and drops its first frame."""
    first = next(decode_packets(container, stream, DecodingStats()), None)
    if first is None:
        return VideoLook()
    aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
    matrix = display_matrix(first)
    if matrix is not None and is_transposed(matrix):
        aspect = 1 / aspect
    is_rgb = first.format.name.startswith(RGB_FORMATS)
    return VideoLook(
        aspect,
        None if is_rgb else int(first.colorspace),
        int(first.color_primaries),
        int(first.color_trc),
    )
