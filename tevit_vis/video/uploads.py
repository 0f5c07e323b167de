"""Looks at a file of somebody who is not trusted before anything is decoded."""

from __future__ import annotations

import os

import av

from tevit_vis.utils.errors import InputError

# Containers of videos. ffmpeg has others that are scripts, and open files or addresses in turn.
CONTAINERS = 'mov,matroska,webm,avi,gif,apng,mpegts,mpeg,flv,asf,ogg,mxf,mpegvideo,m4v,h264,hevc'


def check_upload(path: str | os.PathLike, max_pixels: int) -> tuple[int, int]:
    """Checks that a file is a video of a harmless kind and size, by its header.

    Args:
        path: of the file.
        max_pixels: that a frame may have.

    Returns:
        The (width, height) of its frames in pixels.

    Raises:
        InputError: it is no video, a script, or its frames are too large.

    Example:
        >>> check_upload('upload', max_pixels=10_000_000)  # doctest: +SKIP
        (1920, 1080)
    """
    try:
        options = {'format_whitelist': CONTAINERS}
        with av.open(f'file:{os.fspath(path)}', options=options, metadata_errors='replace') as file:
            sizes = [
                (stream.codec_context.width, stream.codec_context.height)
                for stream in file.streams.video
            ]
    except (av.error.FFmpegError, ValueError, MemoryError) as error:
        reason = getattr(error, 'strerror', None) or type(error).__name__
        raise InputError(f'{path}: video cannot be opened: {reason}') from None
    width, height = max(sizes, default=(0, 0), key=lambda size: size[0] * size[1])
    if not width * height:
        raise InputError(f'{path}: must have a video with frames, but has none')
    if width * height > max_pixels:
        raise InputError(
            f'{path}: frames must have at most {max_pixels / 1e6:g} million pixels, '
            f'but have {width}x{height}'
        )
    return width, height
