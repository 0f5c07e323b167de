"""What video files and streams share: packets to upright frames, and what was lost on the way."""

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

UNSPECIFIED = 2  # of ITU-T H.273
NUM_PROBED = 100  # packets
SMALLEST_STEP_BACK = 0.3  # seconds: more than frames out of order
LONGEST_GAP = 10.0  # seconds between frames of a broadcast; a longer one is a clock set anew
RGB_FORMATS = ('rgb', 'bgr', 'gbr', 'argb', 'abgr', 'pal8', '0rgb', '0bgr')


@dataclass
class Damage:
    """What a decoder met.

    Args:
        num_given: frames.
        num_lost: packets that could not be decoded.
        num_concealed: frames of which parts were lost.
        num_unshown: packets that the file itself leaves out, by its edit list.
        broke_off: why reading ended before the end.
    """

    num_given: int = 0
    num_lost: int = 0
    num_concealed: int = 0
    num_unshown: int = 0
    broke_off: av.error.FFmpegError | None = None


def video_stream(container: InputContainer, name: str, index: int | None = None) -> AVStream:
    """Returns the stream of a container that is its video, not a cover picture.

    Args:
        name: of the container, for errors.
        index: of the stream, where it is known; see ``busiest_stream``.

    Raises:
        InputError: it has none.
    """
    if index is not None:
        return cast(AVStream, container.streams[index])
    streams = [stream for stream in container.streams.video if _is_moving(stream)]
    if not streams:
        what = 'a cover picture alone' if container.streams.video else 'none'
        raise InputError(f'{name}: file must have a video stream, but it has {what}')
    best = container.streams.best('video')
    return best if best in streams else streams[0]


def busiest_stream(container: InputContainer, name: str) -> int:
    """Returns the index of the video stream that has the most packets at the start of a file.

    A file may hold pictures beside its video, which ffmpeg's own choice can fall upon.

    Raises:
        InputError: there is no video.
    """
    best = video_stream(container, name)
    streams = [stream for stream in container.streams.video if _is_moving(stream)]
    if len(streams) < 2:
        return best.index
    counts: Counter = Counter()
    try:
        for packet in islice(container.demux(streams), NUM_PROBED):
            counts[packet.stream.index] += packet.size > 0
    except av.error.FFmpegError:  # damaged: those before it count
        pass
    return max(streams, key=lambda stream: (counts[stream.index], stream == best)).index


def _is_moving(stream: AVStream) -> bool:
    """Whether a stream is not marked as a cover picture."""
    return not stream.disposition & av.stream.Disposition.attached_pic


def decode_packets(
    container: InputContainer, stream: AVStream, damage: Damage
) -> Iterator[av.VideoFrame]:
    """The frames of a stream; what cannot be decoded is passed over and counted."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            damage.num_unshown += packet.is_discard
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            damage.broke_off = error
            packet = None  # the decoder may still hold frames
        try:
            yield from stream.decode(packet)
        except av.error.FFmpegError:
            damage.num_lost += 1
        if packet is None:
            return


def upright_frames(
    container: InputContainer, stream: AVStream, name: str, damage: Damage, on_damage: str
) -> Iterator[TimedFrame]:
    """The frames of a stream as a player shows them, with their times.

    Args:
        name: of the source, for errors.
        damage: counts.
        on_damage: see ``VideoFile``.

    Raises:
        InputError: a frame of another size, or damage with ``stop``.
    """
    first = None
    reformat = Reformatter()
    clock = Clock(container, stream)
    for decoded in decode_packets(container, stream, damage):
        if on_damage == 'stop' and (damage.num_lost or decoded.is_corrupt):
            raise InputError(
                f'{name}: video must be whole, but is damaged at frame {damage.num_given}'
            )
        if decoded.is_corrupt:
            damage.num_concealed += 1
            if on_damage == 'skip':
                continue
        try:
            image = to_image(decoded, reformat)
        except (av.error.FFmpegError, MemoryError):  # of damaged bytes that say what pixels mean
            damage.num_lost += 1
            continue
        first = first or image.shape
        check_same_size(image, first, f'{name}: frame {damage.num_given}')
        damage.num_given += 1
        yield TimedFrame(image, clock.time_of(decoded))


class Clock:
    """Times of decoded frames in seconds from the start, each later than the one before.

    Files lie: some have decoding times only, which is what counts where presentation times run
    backward more often (so does ffmpeg); joined or interrupted broadcasts begin to count anew.
    """

    def __init__(self, container: InputContainer, stream: AVStream) -> None:
        self.step = 1 / float(stream.average_rate) if stream.average_rate else 0.04
        start = container.start_time
        self.origin = None if start is None else start / av.time_base
        self.may_jump = bool(container.format.flags & av.format.Flags.ts_discont.value)
        self.last: float | None = None
        self.latest: dict[str, int] = {}
        # AVI has no presentation times: what stands there counts packets.
        self.num_backward = {'pts': int(container.format.name == 'avi'), 'dts': 0}

    def time_of(self, decoded: av.VideoFrame) -> float:
        """The time of the next frame."""
        stamp = self._best_stamp(decoded.pts, decoded.dts)
        if stamp is None or decoded.time_base is None:
            self.last = 0.0 if self.last is None else self.last + self.step
            return self.last
        seconds = float(stamp * decoded.time_base)
        if self.origin is None:
            self.origin = seconds
        time = seconds - self.origin
        if self.last is not None:
            back = max(SMALLEST_STEP_BACK, 3 * self.step)
            jumped = time < self.last - back or (self.may_jump and time > self.last + LONGEST_GAP)
            if jumped:  # the clock was set anew: the video goes on
                self.origin = seconds - self.last - self.step
                time = self.last + self.step
            elif time <= self.last:
                time = self.last + self.step / 10
        self.last = time
        return time

    def _best_stamp(self, pts: int | None, dts: int | None) -> int | None:
        """The time stamp to go by: of presentation, unless those run backward more often."""
        for name, value in (('pts', pts), ('dts', dts)):
            if value is not None:
                self.num_backward[name] += value <= self.latest.get(name, value - 1)
                self.latest[name] = value
        goes_by_pts = self.num_backward['pts'] <= self.num_backward['dts']
        return dts if pts is None or (dts is not None and not goes_by_pts) else pts


class Reformatter:
    """ffmpeg's converter of pixel formats, by one thread and set up once.

    That of a frame itself would be set up anew for each, with threads of its own.
    """

    def __init__(self) -> None:
        self.reformatter = VideoReformatter()
        self.one_thread: dict[str, Any] = {'threads': 1}

    def __call__(self, frame: av.VideoFrame, **wanted: Any) -> av.VideoFrame:
        """The frame in another format: arguments of ``av.VideoFrame.reformat``."""
        try:
            return self.reformatter.reformat(frame, **wanted, **self.one_thread)
        except TypeError:  # PyAV 15 knows no threads
            self.one_thread = {}
            return self.reformatter.reformat(frame, **wanted)


def to_image(decoded: av.VideoFrame, reformat: Reformatter) -> np.ndarray:
    """A decoded frame as [H, W, 3] BGR, turned and mirrored as its display matrix says."""
    image = reformat(decoded, format='bgr24', interpolation='BICUBIC').to_ndarray()
    matrix = display_matrix(decoded)
    return image if matrix is None else np.ascontiguousarray(turn(image, matrix))


def display_matrix(decoded: av.VideoFrame) -> np.ndarray | None:
    """Returns the upper left [2, 2] of a frame's display matrix, None where there is none."""
    data = decoded.side_data.get('DISPLAYMATRIX')
    if data is None:
        return None
    return np.frombuffer(data, np.int32)[:9].reshape(3, 3)[:2, :2] / (1 << 16)


def turn(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """An image [H, W, ...] under the nearest of the eight turns and flips to a display matrix.

    Args:
        image: as it is stored.
        matrix: [2, 2]; a stored pixel (x, y) is shown at (x, y) @ matrix.

    Example:
        >>> turn(np.array([[1, 2], [3, 4]]), np.array([[0, 1], [-1, 0]])).tolist()
        [[3, 1], [4, 2]]
    """
    if is_transposed(matrix):
        image = np.swapaxes(image, 0, 1)
        right, down = matrix[1, 0], matrix[0, 1]
    else:
        right, down = matrix[0, 0], matrix[1, 1]
    return image[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1]


def is_transposed(matrix: np.ndarray) -> bool:
    """Whether width and height change places."""
    return bool(np.abs([matrix[0, 1], matrix[1, 0]]).sum() > np.abs(np.diag(matrix)).sum())


def look_of(container: InputContainer, stream: AVStream) -> VideoLook:
    """How the pixels of a stream are meant, by its first frame, which is taken."""
    first = next(decode_packets(container, stream, Damage()), None)
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
