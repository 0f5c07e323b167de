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
    Damage,
    busiest_stream,
    look_of,
    upright_frames,
    video_stream,
)
from .source import FrameSource, TimedFrame, VideoLook, check_on_damage

SHORT = 0.25  # seconds that a video may lack of its length before it is said
CLOCK = re.compile(r'(\d+):(\d+):(\d+(?:\.\d+)?)')
LOGGER = logging.getLogger('tevit_vis')


class VideoFile(FrameSource):
    """A video file.

    Args:
        path: of the file.
        on_damage: what becomes of a file that is cut off or damaged. ``keep`` uses every frame
            that the decoder gives, ``skip`` leaves out those with damaged parts; both warn at the
            end with the numbers of frames that were promised and found. ``stop`` is an error.

    Raises:
        InputError: it is not there, cannot be opened, or has no video.
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
            self.seconds = _promised_seconds(container, stream)
            self.has_edit_list = 'mp4' in container.format.name  # or may have one
            self.sound = path if container.streams.audio else None

    @cached_property
    def num_packets(self) -> int:
        """Packets of the video, without decoding them."""
        with self._open() as container:
            stream = video_stream(container, self.path, self.stream_index)
            try:
                return sum(packet.size > 0 for packet in container.demux(stream))
            except av.error.FFmpegError:
                return 0

    def _open(self) -> InputContainer:
        try:
            # Without a scheme, ffmpeg would take what stands before a colon for one.
            return av.open(f'file:{self.path}', metadata_errors='replace')
        except UnicodeEncodeError:  # a name that is not UTF-8
            return self._open_unnamed()
        except av.error.FFmpegError as error:
            raise self._cannot_be_decoded(error) from None

    def _open_unnamed(self) -> InputContainer:
        file = open(self.path, 'rb')  # noqa: SIM115  (the container holds it)
        try:
            return av.open(file, metadata_errors='replace')
        except av.error.FFmpegError as error:
            file.close()
            raise self._cannot_be_decoded(error) from None

    def _cannot_be_decoded(self, error: av.error.FFmpegError) -> InputError:
        with open(self.path, 'rb') as file:
            start = file.read(12)
        why = str(error.strerror)
        if start[4:8] == b'ftyp' and isinstance(error, av.error.InvalidDataError):
            why = 'it is cut off or damaged: its index is missing'
        return InputError(f'{self.path}: video cannot be decoded: {why}')

    @cached_property
    def look(self) -> VideoLook:  # type: ignore[override]
        """See ``FrameSource``."""
        with self._open() as container:
            return look_of(container, video_stream(container, self.path, self.stream_index))

    def timed(self) -> Iterator[TimedFrame]:
        """See ``FrameSource``."""
        damage, last = Damage(), 0.0
        with self._open() as container:
            stream = video_stream(container, self.path, self.stream_index)
            stream.thread_type = 'AUTO'
            frames = upright_frames(container, stream, self.path, damage, self.on_damage)
            for frame in frames:
                last = frame.time or 0.0
                yield frame
        lost = self._what_is_lost(damage, last)
        if not damage.num_given:
            why = lost or 'it has none'
            raise InputError(f'{self.path}: video must have at least one frame, but {why}')
        if lost and self.on_damage == 'stop':
            raise InputError(f'{self.path}: video must be whole, but {lost}')
        if lost:
            LOGGER.warning('%s: is cut off or damaged: %s', self.path, lost)

    def _what_is_lost(self, damage: Damage, last: float) -> str:
        """Words for the frames that the file promised and did not give; empty where none are."""
        promised = self.num_frames
        if self.seconds is not None and self.fps:
            is_at_end = last + 1 / self.fps >= self.seconds - max(SHORT, 2 / self.fps)
            if is_at_end and self.has_edit_list:  # its frames are more than those to be shown
                promised = None
            elif not is_at_end and promised is None:
                promised = round(self.seconds * self.fps)
        found = damage.num_given + damage.num_unshown
        if self.on_damage == 'skip':
            found += damage.num_concealed
        is_whole = promised is None or found >= promised
        if is_whole and not (damage.num_lost or damage.num_concealed or damage.broke_off):
            return ''
        counts = f'{damage.num_given}' + (f' of {promised}' if promised else '')
        parts = [f'{counts} frames were found']
        if damage.num_concealed:
            fate = 'left out' if self.on_damage == 'skip' else 'used'
            parts.append(f'{damage.num_concealed} with damaged parts were {fate}')
        return ', '.join(parts)


def _promised_seconds(container: InputContainer, stream: AVStream) -> float | None:
    """The length of the video by the file's header, None where it does not tell.

    The length of the file is that of its longest stream: sound may go on after the video.
    """
    if container.format.flags & av.format.Flags.ts_discont.value:
        return None  # its clock may be set anew
    if stream.duration is not None:
        return float(stream.duration * (stream.time_base or 0))
    clock = CLOCK.match(stream.metadata.get('DURATION', ''))  # of Matroska
    if clock:
        hours, minutes, seconds = clock.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return None
