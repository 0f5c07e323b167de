"""What is done with a video file that was written."""

from __future__ import annotations

import logging
from fractions import Fraction

import av

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import write_beside

LOGGER = logging.getLogger('tevit_vis')


def has_frames(path: str) -> bool:
    """Whether a video can be played, if only for a frame."""
    try:
        with av.open(f'file:{path}') as container:
            return next(container.decode(video=0), None) is not None
    except (av.error.FFmpegError, IndexError):
        return False


def put_index_first(path: str, muxer: str, step: Fraction) -> None:
    """Write an MP4 anew with its index first, so that it plays before it is loaded whole.

    Where that cannot be done, such as on a full disk, it stays as it is: whole.

    Args:
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
        write_beside(path, write)
    except (InputError, av.error.FFmpegError) as error:
        LOGGER.warning('%s; its index stays at its end', error)
