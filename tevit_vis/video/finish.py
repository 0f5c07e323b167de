"""Steps after a video file was written: a check, and moving its index to the front."""

from __future__ import annotations

import logging
from fractions import Fraction

import av

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import write_atomically

LOGGER = logging.getLogger('tevit_vis')


def has_frames(path: str) -> bool:
    """Whether at least one frame of a video file can be decoded."""
    try:
        with av.open(f'file:{path}') as container:
            return next(container.decode(video=0), None) is not None
    except (av.error.FFmpegError, IndexError):
        return False


def move_index_to_front(path: str, muxer: str, step: Fraction) -> None:
    """Rewrites an MP4 with its index first, so that players can start before all is loaded.

    Where that fails, such as on a full disk, the complete file stays as it is, with a warning.

    Args:
        path: path of the file.
        muxer: name of its container in ffmpeg.
        step: seconds that the last frame is shown.
    """

    def write(unfinished: str) -> None:
        options = {'movflags': '+faststart'}
        with (
            av.open(f'file:{path}') as source,
            av.open(f'file:{unfinished}', 'w', format=muxer, options=options) as target,
        ):
            streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
            for packet in source.demux():
                if packet.dts is not None:
                    if packet.stream.type == 'video':
                        packet.duration = round(step / packet.time_base)
                    packet.stream = streams[packet.stream.index]
                    target.mux(packet)

    try:
        write_atomically(path, write)
    except (InputError, av.error.FFmpegError) as error:
        LOGGER.warning('%s; the index stays at the end of the file', error)
