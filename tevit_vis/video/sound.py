"""Copies the sound of a video, without encoding it again."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import av
from av.container import OutputContainer

from tevit_vis.utils.errors import InputError

from .streams import STREAM_TIMEOUT, public_url

LOGGER = logging.getLogger('tevit_vis')


class SoundCopier:
    """Copies the sound of a file into a video that is being written, without encoding it again.

    Args:
        origin: file or URL that has the sound.
        container: container of the video, before its first packet is written.
        path: path of the video, for errors.

    Raises:
        InputError: the container cannot hold this sound.
    """

    def __init__(self, origin: str, container: OutputContainer, path: str) -> None:
        self.path = path
        address = origin if '://' in origin else f'file:{origin}'
        name = public_url(origin)
        try:
            timeout = (STREAM_TIMEOUT, STREAM_TIMEOUT) if '://' in origin else None
            self.input = av.open(address, metadata_errors='replace', timeout=timeout)
        except av.error.FFmpegError as error:
            reason = error.strerror
            raise InputError(f'{name}: sound must be there, but: {reason}') from None
        self.container = container
        stream = self.input.streams.best('audio')
        if stream is None or stream.codec_context is None:
            self.input.close()
            raise InputError(f'{name}: sound must be of a known codec, but is not')
        codec = stream.codec_context
        codec_names = {codec.name.split('_')[0], codec.codec.name}
        # Each AAC packet of a broadcast carries the header that MP4 stores once per file.
        is_broadcast = codec.name == 'aac' and not codec.extradata
        is_supported = bool(codec_names & set(container.supported_codecs))
        if not is_supported or (is_broadcast and container.format.name in ('mp4', 'mov')):
            self.input.close()
            raise InputError(
                f'{path}: must be a kind of file that holds the sound of {name} '
                f'({codec.name}{" of a broadcast" if is_broadcast else ""}), but is not: '
                f'{"name it .mkv" if container.format.name != "matroska" else "name it otherwise"}'
                ', or leave the sound out'
            )
        self.stream = container.add_stream_from_template(stream)
        self.start = (self.input.start_time or 0) / av.time_base
        self.packets = self._packets(stream)
        self.next_packet: av.Packet | None = None  # read, but not due yet
        self.last_dts: int | None = None  # of the last packet that was written
        self.has_warned = False

    def _packets(self, stream: av.audio.stream.AudioStream) -> Iterator[av.Packet]:
        """Yields the packets that have time stamps."""
        try:
            for packet in self.input.demux(stream):
                if packet.dts is not None and packet.pts is not None:
                    yield packet
        except av.error.FFmpegError:  # the file is cut off: the sound ends where it does
            return

    def copy_until(self, time: float) -> None:
        """Copies the sound up to a time in seconds from the start of the video.

        Raises:
            InputError: the sound cannot be written.
        """
        while True:
            packet = self.next_packet or next(self.packets, None)
            if packet is None:
                return
            self.next_packet = packet
            if float(packet.pts * packet.time_base) - self.start > time:
                return
            self.next_packet = None
            shift = round(self.start / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift
            if self.last_dts is not None and packet.dts <= self.last_dts:
                if not self.has_warned:
                    LOGGER.warning('%s: its sound ends where its clock is set anew', self.path)
                self.has_warned = True
                continue
            self.last_dts = packet.dts
            packet.stream = self.stream
            try:
                self.container.mux(packet)
            except (av.error.FFmpegError, ValueError) as error:
                reason = getattr(error, 'strerror', None) or error
                raise InputError(f'{self.path}: sound cannot be written: {reason}') from error

    def close(self) -> None:
        """Closes the file that the sound is read from."""
        self.input.close()
