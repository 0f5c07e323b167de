"""Streams by URL, decoded by PyAV (ffmpeg)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property

import av
from av.container import InputContainer

from tevit_vis.utils.errors import InputError

from .decode import (
    UNSPECIFIED,
    Damage,
    look_of,
    upright_frames,
    video_stream,
)
from .source import FrameSource, TimedFrame, VideoLook, check_on_damage

PATIENCE = 10.0  # seconds without an answer after which a server is given up
LOGGER = logging.getLogger('tevit_vis')
# Names in the query of a URL whose values may be shown.
HARMLESS = {
    *('fps', 'width', 'height', 'resolution', 'channel', 'subtype', 'stream', 'profile', 'codec'),
    *('format', 'quality', 'transport', 'camera', 'start', 'end', 'user', 'v'),
}


def public_url(url: str) -> str:
    """Returns a URL without what may be secret: its user and password, its fragment, and the
    values of its query but for a few names.

    Example:
        >>> public_url('rtsp://me:hunter2@camera/1?token=abc&fps=5')
        'rtsp://***@camera/1?token=***&fps=5'
    """
    scheme, separator, rest = url.partition('://')
    rest, hash_sign, _ = rest.partition('#')
    place, slash, path = rest.partition('/')
    _, at, host = place.rpartition('@')
    start, question, query = path.partition('?')
    pairs = [pair.partition('=') for pair in query.split('&')]
    shown = [
        f'{name}{equals}{value if name.lower() in HARMLESS else "***" if equals else ""}'
        for name, equals, value in pairs
    ]
    return (
        f'{scheme}{separator}{"***" if at else ""}{at}{host}{slash}{start}{question}'
        f'{"&".join(shown)}{"#***" if hash_sign else ""}'
    )


class VideoStream(FrameSource):
    """A stream by URL. One without a known length is live: its frames can be gone through once.

    When it breaks off, stalls or changes its size, it has ended: a warning says so, and how many
    packets could not be decoded.

    Args:
        url: rtsp://, rtmp://, http://, ...
        patience: seconds without an answer after which it has ended.
        on_damage: see ``VideoFile``; ``stop`` ends a stream at its first damage.

    Raises:
        InputError: it cannot be opened, or has no video.
    """

    def __init__(self, url: str, patience: float = PATIENCE, on_damage: str = 'keep') -> None:
        self.on_damage = check_on_damage(on_damage)
        self.url = url
        self.name = public_url(url)  # for messages
        self.patience = patience
        container = self._open()
        stream = video_stream(container, self.name)
        self.fps = float(stream.average_rate) if stream.average_rate else None
        self.live = self.passes_once = container.duration is None
        self.sound = url if container.streams.audio and not self.live else None
        self.opened: InputContainer | None = container

    def _open(self) -> InputContainer:
        try:
            timeout = (self.patience, self.patience)
            return av.open(self.url, timeout=timeout, metadata_errors='replace')
        except (av.error.FFmpegError, ValueError) as error:
            raise InputError(f'{self.name}: stream must be there, but: {_reason(error)}') from None

    @cached_property
    def look(self) -> VideoLook:  # type: ignore[override]
        """See ``FrameSource``; of what is live, that of players that know nothing."""
        if self.live:
            return VideoLook(matrix=UNSPECIFIED)
        with self._open() as container:
            return look_of(container, video_stream(container, self.name))

    def timed(self) -> Iterator[TimedFrame]:
        """See ``FrameSource``."""
        if self.opened is None and self.live:
            raise InputError(f'{self.name}: a live stream can be gone through once only')
        container, self.opened = self.opened or self._open(), None
        damage, why = Damage(), ''
        with container:
            stream = video_stream(container, self.name)
            stream.thread_type = 'SLICE' if self.live else 'AUTO'  # AUTO holds frames back
            try:
                yield from upright_frames(container, stream, self.name, damage, self.on_damage)
            except InputError as error:  # another size
                why = str(error)
        if damage.broke_off is not None:
            stalled = isinstance(damage.broke_off, (av.error.ExitError, av.error.TimeoutError))
            why = f'nothing came for {self.patience:g} s' if stalled else _reason(damage.broke_off)
        if why:
            LOGGER.warning('%s: ended after %d frames: %s', self.name, damage.num_given, why)
        if damage.num_lost:
            LOGGER.warning('%s: %d packets could not be decoded', self.name, damage.num_lost)


def _reason(error: Exception) -> str:
    """What ffmpeg says, without the address that it may repeat."""
    return getattr(error, 'strerror', None) or str(error).split("'")[0]
