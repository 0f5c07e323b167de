"""Containers and codecs that videos are written in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av

from tevit_vis.utils.errors import InputError

SLOWEST, FASTEST = 0.01, 1000  # frames per second
QUALITIES = ('small', 'good', 'best')
SPEEDS = ('fast', 'medium', 'slow')


@dataclass(frozen=True)
class Codec:
    """An encoder of ffmpeg.

    Args:
        encoder: its name in ffmpeg.
        crf: constant rate factor for each of ``QUALITIES`` (lower is better and larger), or None
            where the encoder has no such option.
        effort: name of the encoder's speed option, and its value for each of ``SPEEDS``.
        options: further options as (name, value).
    """

    encoder: str
    crf: tuple[int, int, int] | None
    effort: tuple[str, tuple[str, str, str]] | None = None
    options: tuple[tuple[str, str], ...] = ()


CODECS = {
    'h264': Codec('libx264', (26, 20, 14), ('preset', ('veryfast', 'medium', 'slow'))),
    'hevc': Codec(
        'libx265',
        (30, 24, 18),
        ('preset', ('veryfast', 'medium', 'slow')),
        (('x265-params', 'log-level=none'),),
    ),
    'vp9': Codec(
        'libvpx-vp9',
        (40, 32, 22),
        ('cpu-used', ('8', '4', '2')),
        (('deadline', 'good'), ('row-mt', '1'), ('b', '0')),
    ),
    'av1': Codec('libsvtav1', (42, 34, 24), ('preset', ('11', '8', '5'))),
    'gif': Codec('gif', None),
}


@dataclass(frozen=True)
class Container:
    """A kind of video file.

    Args:
        muxer: its name in ffmpeg.
        codecs: names of the codecs that it may hold; the first is the default.
        has_times: whether each frame has its own time; else the frame rate is constant.
        is_fragmented: whether it is written in pieces that can be played before it is complete.
    """

    muxer: str
    codecs: tuple[str, ...]
    has_times: bool = True
    is_fragmented: bool = False


MP4 = Container('mp4', ('h264', 'hevc', 'av1', 'vp9'), is_fragmented=True)
CONTAINERS = {
    '.mp4': MP4,
    '.m4v': MP4,
    '.mov': Container('mov', ('h264', 'hevc'), is_fragmented=True),
    '.mkv': Container('matroska', ('h264', 'hevc', 'av1', 'vp9')),
    '.webm': Container('webm', ('vp9', 'av1')),
    '.avi': Container('avi', ('h264',), has_times=False),
    '.gif': Container('gif', ('gif',)),
}


@dataclass(frozen=True)
class VideoEncoding:
    """How a video is encoded.

    Args:
        codec: ``h264``, ``hevc``, ``vp9``, ``av1``; None is the container's default.
        quality: ``small``, ``good`` or ``best``.
        speed: ``fast``, ``medium`` or ``slow``: time spent to make the file small.
    """

    codec: str | None = None
    quality: str = 'good'
    speed: str = 'fast'


def check_rate(what: str, fps: float) -> None:
    """Checks that a frame rate is one that a video can have.

    Args:
        what: names the file or option in errors.
        fps: frames per second.

    Raises:
        InputError: the rate is not from ``SLOWEST`` to ``FASTEST``.

    Example:
        >>> check_rate('--fps', 25)
    """
    if not SLOWEST <= fps <= FASTEST:  # this rejects NaN, too
        raise InputError(f'{what}: frames per second must be {SLOWEST} to {FASTEST}, but got {fps}')


def container_of(path: str) -> Container:
    """Returns the container that the suffix of a file name stands for.

    Raises:
        InputError: the suffix is not that of a video.

    Example:
        >>> container_of('out.webm').codecs
        ('vp9', 'av1')
    """
    suffix = Path(path).suffix.lower()
    if suffix not in CONTAINERS:
        raise InputError(
            f'{path}: video must end in {", ".join(CONTAINERS)}, but ends in {suffix or "nothing"}'
        )
    return CONTAINERS[suffix]


def codec_of(path: str, style: VideoEncoding) -> Codec:
    """Returns the codec that a file is to be written with.

    Raises:
        InputError: the container cannot hold it, this PyAV has no encoder for it, or the style
            has an unknown quality or speed.

    Example:
        >>> codec_of('out.mkv', VideoEncoding(codec='hevc')).encoder
        'libx265'
    """
    for name, value, choices in (
        ('quality', style.quality, QUALITIES),
        ('speed', style.speed, SPEEDS),
    ):
        if value not in choices:
            raise InputError(f'{name}: must be {", ".join(choices)}, but got {value!r}')
    container = container_of(path)
    name = style.codec or container.codecs[0]
    if name not in container.codecs:
        raise InputError(
            f'{path}: codec must be {" or ".join(container.codecs)} in such a file, but is {name}'
        )
    codec = CODECS[name]
    if codec.encoder not in av.codecs_available:
        raise InputError(f'{path}: this PyAV has no encoder for {name}: choose another codec')
    return codec


def encoder_options(codec: Codec, style: VideoEncoding) -> dict[str, str]:
    """Returns the options of ffmpeg's encoder for a quality and speed.

    Example:
        >>> encoder_options(CODECS['h264'], VideoEncoding(quality='best'))
        {'crf': '14', 'preset': 'veryfast'}
    """
    options = dict(codec.options)
    if codec.crf is not None:
        options['crf'] = str(codec.crf[QUALITIES.index(style.quality)])
    if codec.effort is not None:
        option, values = codec.effort
        options[option] = values[SPEEDS.index(style.speed)]
    return options
