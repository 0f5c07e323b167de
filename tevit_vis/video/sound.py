"""Sound that goes along with a video, copied as it is."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import av
from av.container import OutputContainer

from tevit_vis.utils.errors import InputError

from .streams import PATIENCE, public_url

LOGGER = logging.getLogger('tevit_vis')


class SoundCopy:
    """Copies the sound of a file into a video that is being written, without encoding it anew.

    Args:
        origin: file or URL that has the sound.
        container: of the video, before its first packet.
        path: of the video, for errors.

    Raises:
        InputError: the container cannot hold this sound.
    """

    def __init__(self, origin: str, container: OutputContainer, path: str) -> None:
        self.path = path
        address = origin if '://' in origin else f'file:{origin}'
        name = public_url(origin)
        try:
            timeout = (PATIENCE, PATIENCE) if '://' in origin else None
            self.input = av.open(address, metadata_errors='replace', timeout=timeout)
        except av.error.FFmpegError as error:
            reason = error.strerror
            raise InputError(f'{name}: sound must be there, but: {reason}') from None
        self.container = container
        stream = self.input.streams.best('audio')
        if stream is None or stream.codec_context is None:
            self.input.close()
            raise InputError(f'{name}: sound must be of a kind that is known, but is not')
        sound = stream.codec_context
        names = {sound.name.split('_')[0], sound.codec.name}
        # Broadcasts say in each packet of AAC what MP4 has once.
        is_broadcast = sound.name == 'aac' and not sound.extradata
        is_held = bool(names & set(container.supported_codecs))
        if not is_held or (is_broadcast and container.format.name in ('mp4', 'mov')):
            self.input.close()
            raise InputError(
                f'{path}: must be a kind of file that holds the sound of {name} '
                f'({sound.name}{" of a broadcast" if is_broadcast else ""}), but is not: '
                f'{"name it .mkv" if container.format.name != "matroska" else "name it otherwise"}'
                ', or leave the sound out'
            )
        self.stream = container.add_stream_from_template(stream)
        self.start = (self.input.start_time or 0) / av.time_base
        self.packets = self._packets(stream)
        self.waiting: av.Packet | None = None
        self.last: int | None = None  # time stamp that was written
        self.has_turned = False

    def _packets(self, stream: av.audio.stream.AudioStream) -> Iterator[av.Packet]:
        try:
            for packet in self.input.demux(stream):
                if packet.dts is not None and packet.pts is not None:
                    yield packet
        except av.error.FFmpegError:  # the file is cut off: the sound ends where it does
            return

    def copy_until(self, time: float) -> None:
        """Write the sound up to a time in seconds from the start of the video.

        Raises:
            InputError: it cannot be written.
        """
        while True:
            packet = self.waiting or next(self.packets, None)
            if packet is None:
                return
            self.waiting = packet
            if float(packet.pts * packet.time_base) - self.start > time:
                return
            self.waiting = None
            shift = round(self.start / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift
            if self.last is not None and packet.dts <= self.last:
                if not self.has_turned:
                    LOGGER.warning('%s: its sound ends where its clock is set anew', self.path)
                self.has_turned = True
                continue
            self.last = packet.dts
            packet.stream = self.stream
            try:
                self.container.mux(packet)
            except (av.error.FFmpegError, ValueError) as error:
                reason = getattr(error, 'strerror', None) or error
                raise InputError(f'{self.path}: sound cannot be written: {reason}') from error

    def close(self) -> None:
        """Let go of the file."""
        self.input.close()
