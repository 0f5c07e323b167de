"""Sound that goes along with a video, copied as it is."""

from __future__ import annotations

from collections.abc import Iterator

import av
from av.container import OutputContainer

from tevit_vis.utils.errors import InputError

from .streams import public_url


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
        self.input = av.open(address, metadata_errors='replace')
        self.container = container
        stream = self.input.streams.best('audio')
        sound = stream.codec_context
        names = {sound.name.split('_')[0], sound.codec.name}
        # Broadcasts say in each packet of AAC what MP4 has once.
        is_broadcast = sound.name == 'aac' and not sound.extradata
        is_held = bool(names & set(container.supported_codecs))
        if not is_held or (is_broadcast and container.format.name in ('mp4', 'mov')):
            self.input.close()
            raise InputError(
                f'{path}: must be a kind of file that holds the sound of {public_url(origin)} '
                f'({sound.name}{" of a broadcast" if is_broadcast else ""}), such as .mkv, but is '
                'not: name it so, or leave the sound out'
            )
        self.stream = container.add_stream_from_template(stream)
        self.start = (self.input.start_time or 0) / av.time_base
        self.packets = self._packets(stream)
        self.waiting: av.Packet | None = None

    def _packets(self, stream: av.audio.stream.AudioStream) -> Iterator[av.Packet]:
        try:
            for packet in self.input.demux(stream):
                if packet.dts is not None and packet.pts is not None:
                    yield packet
        except av.error.FFmpegError:  # the file is cut off: the sound ends where it does
            return

    def copy_until(self, time: float) -> None:
        """Write the sound up to a time in seconds from the start of the video."""
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
            packet.stream = self.stream
            self.container.mux(packet)

    def close(self) -> None:
        """Let go of the file."""
        self.input.close()
