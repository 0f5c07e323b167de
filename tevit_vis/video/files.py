"""Video files, decoded by PyAV (ffmpeg)."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from functools import cached_property

import av
from av.container import InputContainer
from av.video.stream import VideoStream as AVStream

from tevit_vis.utils.errors import InputError

from .decode import (
    DecodingStats,
    busiest_stream,
    look_of,
    upright_frames,
    video_stream,
)
from .source import FrameSource, TimedFrame, VideoLook, check_on_damage

MAX_MISSING_SECONDS = 0.25  # a video that lacks no more of its promised length counts as whole
MATROSKA_DURATION = re.compile(r'(\d+):(\d+):(\d+(?:\.\d+)?)')  # hours:minutes:seconds
LOGGER = logging.getLogger('tevit_vis')


class VideoFile(FrameSource):
    """A video file.

    Args:
        path: path of the file.
        on_damage: what to do with a file that is cut off or damaged. ``keep`` uses every frame
            that the decoder gives, ``skip`` leaves out those with damaged parts; both warn at the
            end how many frames were promised and found. ``stop`` raises an error.

    Raises:
        InputError: the file is absent, cannot be opened, or has no video.
    """

    def __init__(self, path: str, on_damage: str = 'keep') -> None:
        self.path = path
        self.on_damage = check_on_damage(on_damage)
        if os.path.exists(path) and not os.path.isfile(path):
            raise InputError(
                f'{path}: video must be a file, but is a pipe or a device: write it to a file first'
            )
        if not os.path.isfile(path):
            raise InputError(f'{path}: video must be a file or a folder, but neither is there')
        with self._open() as container:
            self.stream_index = busiest_stream(container, path)
            stream = video_stream(container, path, self.stream_index)
            self.fps = float(stream.average_rate) if stream.average_rate else None
            self.num_frames = stream.frames or None
            self.promised_seconds = _promised_seconds(container, stream)
            self.may_have_edit_list = 'mp4' in container.format.name
            self.sound = path if container.streams.audio else None

    @cached_property
    def num_packets(self) -> int:
        """The number of packets of the video, counted without decoding them."""
        with self._open() as container:
            stream = video_stream(container, self.path, self.stream_index)
            try:
                return sum(packet.size > 0 for packet in container.demux(stream))
            except av.error.FFmpegError:
                return 0

    def _open(self) -> InputContainer:
        try:
            # Without 'file:', ffmpeg would take the part of a path before a colon for a protocol.
            return av.open(f'file:{self.path}', metadata_errors='replace')
        except UnicodeEncodeError:  # a name that is not UTF-8
            return self._open_by_handle()
        except av.error.FFmpegError as error:
            raise self._decoding_error(error) from None

    def _open_by_handle(self) -> InputContainer:
        """Opens the file in Python, since ffmpeg cannot be given its name."""
        file = open(self.path, 'rb')  # noqa: SIM115  (the container holds it)
        try:
            return av.open(file, metadata_errors='replace')
        except av.error.FFmpegError as error:
            file.close()
            raise self._decoding_error(error) from None

    def _decoding_error(self, error: av.error.FFmpegError) -> InputError:
        with open(self.path, 'rb') as file:
            first_bytes = file.read(12)
        reason = str(error.strerror)
        if first_bytes[4:8] == b'ftyp' and isinstance(error, av.error.InvalidDataError):
            reason = 'it is cut off or damaged: its index is missing'
        return InputError(f'{self.path}: video cannot be decoded: {reason}')

    @cached_property
    def look(self) -> VideoLook:  # type: ignore[override]
        """How the pixels are meant, as the first frame says."""
        with self._open() as container:
            return look_of(container, video_stream(container, self.path, self.stream_index))

    def timed_frames(self) -> Iterator[TimedFrame]:
        """Yields the frames with their times; warns at the end where frames are lost."""
        damage, last_time = DecodingStats(), 0.0
        with self._open() as container:
            stream = video_stream(container, self.path, self.stream_index)
            stream.thread_type = 'AUTO'
            frames = upright_frames(container, stream, self.path, damage, self.on_damage)
            for frame in frames:
                last_time = frame.time or 0.0
                yield frame
        loss = self._describe_loss(damage, last_time)
        if not damage.num_decoded:
            reason = loss or 'it has none'
            raise InputError(f'{self.path}: video must have at least one frame, but {reason}')
        if loss and self.on_damage == 'stop':
            raise InputError(f'{self.path}: video must be whole, but {loss}')
        if loss:
            LOGGER.warning('%s: is cut off or damaged: %s', self.path, loss)

    def _describe_loss(self, damage: DecodingStats, last_time: float) -> str:
        """Returns a message about lost or damaged frames; empty where there are none."""
        num_promised = self.num_frames
        if self.promised_seconds is not None and self.fps:
            tolerance = max(MAX_MISSING_SECONDS, 2 / self.fps)
            is_at_end = last_time + 1 / self.fps >= self.promised_seconds - tolerance
            if is_at_end and self.may_have_edit_list:  # the header also counts unshown frames
                num_promised = None
            elif not is_at_end and num_promised is None:
                num_promised = round(self.promised_seconds * self.fps)
        num_found = damage.num_decoded + damage.num_discarded
        if self.on_damage == 'skip':
            num_found += damage.num_concealed
        is_whole = num_promised is None or num_found >= num_promised
        if is_whole and not (damage.num_lost or damage.num_concealed or damage.read_error):
            return ''
        counts = f'{damage.num_decoded}' + (f' of {num_promised}' if num_promised else '')
        parts = [f'{counts} frames were found']
        if damage.num_concealed:
            action = 'left out' if self.on_damage == 'skip' else 'used'
            parts.append(f'{damage.num_concealed} with damaged parts were {action}')
        return ', '.join(parts)


def _promised_seconds(container: InputContainer, stream: AVStream) -> float | None:
    """Returns the length of the video that the file's header gives, None where it gives none.

    The length of the whole file counts only where the video is its only stream, since sound may
    go on after the video.
    """
    if container.format.flags & av.format.Flags.ts_discont.value:
        return None  # the clock of such a file may be reset
    if stream.duration is not None:
        return float(stream.duration * (stream.time_base or 0))
    match = MATROSKA_DURATION.match(stream.metadata.get('DURATION', ''))
    if match:
        hours, minutes, seconds = match.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return None
