"""Streams that are read from a URL, decoded by PyAV (ffmpeg)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property

import av
from av.container import InputContainer

from tevit_vis.utils.errors import InputError

from .decode import (
    UNSPECIFIED,
    DecodingStats,
    look_of,
    upright_frames,
    video_stream,
)
from .source import FrameSource, TimedFrame, VideoLook, check_on_damage

STREAM_TIMEOUT = 10.0  # seconds to wait for an answer of a server
LOGGER = logging.getLogger('tevit_vis')
# Names in the query of a URL whose values may be shown.
HARMLESS = {
    *('fps', 'width', 'height', 'resolution', 'channel', 'subtype', 'stream', 'profile', 'codec'),
    *('format', 'quality', 'transport', 'camera', 'start', 'end', 'user', 'v'),
}


def public_url(url: str) -> str:
    """Returns a URL with ``***`` in place of what may be secret.

    That is its user and password, its fragment, and the values of its query; those of a few
    harmless names stay.

    Example:
        >>> public_url('rtsp://me:hunter2@camera/1?token=abc&fps=5')
        'rtsp://***@camera/1?token=***&fps=5'
    """
    scheme, separator, rest = url.partition('://')
    rest, hash_sign, _ = rest.partition('#')
    authority, slash, path_and_query = rest.partition('/')
    _, at, host = authority.rpartition('@')
    path, question, query = path_and_query.partition('?')
    pairs = [pair.partition('=') for pair in query.split('&')]
    public_pairs = [
        f'{name}{equals}{value if name.lower() in HARMLESS else "***" if equals else ""}'
        for name, equals, value in pairs
    ]
    return (
        f'{scheme}{separator}{"***" if at else ""}{at}{host}{slash}{path}{question}'
        f'{"&".join(public_pairs)}{"#***" if hash_sign else ""}'
    )


class VideoStream(FrameSource):
    """A stream that is read from a URL.

    A stream without a known length is live: its frames can be gone through once. A stream ends
    where it breaks off, stalls or changes the size of its frames. Warnings say so, and how many
    packets could not be decoded.

    Args:
        url: rtsp://, rtmp://, http://, ...
        timeout: seconds without an answer after which the stream ends.
        on_damage: see ``VideoFile``; ``stop`` ends a stream at its first damage.

    Raises:
        InputError: the stream cannot be opened, or has no video.
    """

    def __init__(self, url: str, timeout: float = STREAM_TIMEOUT, on_damage: str = 'keep') -> None:
        self.on_damage = check_on_damage(on_damage)
        self.url = url
        self.name = public_url(url)  # for messages
        self.timeout = timeout
        container = self._open()
        stream = video_stream(container, self.name)
        self.fps = float(stream.average_rate) if stream.average_rate else None
        self.is_live = self.is_single_pass = container.duration is None
        self.sound = url if container.streams.audio and not self.is_live else None
        self.opened: InputContainer | None = container  # for the first pass over the frames

    def _open(self) -> InputContainer:
        try:
            timeout = (self.timeout, self.timeout)
            return av.open(self.url, timeout=timeout, metadata_errors='replace')
        except (av.error.FFmpegError, ValueError) as error:
            raise InputError(f'{self.name}: stream must be there, but: {_reason(error)}') from None

    @cached_property
    def look(self) -> VideoLook:  # type: ignore[override]
        """How the pixels are meant: unspecified for a live stream, else as its first frame says."""
        if self.is_live:
            return VideoLook(matrix=UNSPECIFIED)
        with self._open() as container:
            return look_of(container, video_stream(container, self.name))

    def timed_frames(self) -> Iterator[TimedFrame]:
        """Yields the frames with their times, until the stream ends."""
        if self.opened is None and self.is_live:
            raise InputError(f'{self.name}: a live stream can be gone through once only')
        container, self.opened = self.opened or self._open(), None
        damage, reason = DecodingStats(), ''
        with container:
            stream = video_stream(container, self.name)
            stream.thread_type = 'SLICE' if self.is_live else 'AUTO'  # AUTO holds frames back
            try:
                yield from upright_frames(container, stream, self.name, damage, self.on_damage)
            except InputError as error:  # a frame of another size, or a damaged one
                reason = str(error)
        if damage.read_error is not None:
            reason = _reason(damage.read_error)
            if isinstance(damage.read_error, (av.error.ExitError, av.error.TimeoutError)):
                reason = f'nothing came for {self.timeout:g} s'
        if reason:
            LOGGER.warning('%s: ended after %d frames: %s', self.name, damage.num_decoded, reason)
        if damage.num_lost:
            LOGGER.warning('%s: %d packets could not be decoded', self.name, damage.num_lost)


def _reason(error: Exception) -> str:
    """Returns ffmpeg's message, without the URL that it may repeat."""
    return getattr(error, 'strerror', None) or str(error).split("'")[0]
