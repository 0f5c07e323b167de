"""Writes frames to a video file."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.filter import Graph

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import UnfinishedFile, check_writable

from .decode import UNSPECIFIED, PixelFormatConverter
from .finish import has_frames, move_index_to_front
from .formats import VideoEncoding, check_rate, codec_of, container_of, encoder_options
from .palette import palette_graph, run_filter
from .sound import SoundCopier
from .source import VideoLook

MAX_REWRITTEN = 1 << 30  # bytes; larger files are not rewritten with their index first
MAX_REPEATS = 3000  # times that a frame is repeated where a file has no times
TICKS = Fraction(90_000)  # units of frame times per second
MPEG_RANGE = 1  # ffmpeg's number for limited range: black is 16, white 235
BT601, BT709 = 6, 1  # matrices of ITU-T H.273
WIDE_MATRICES = (BT709, 9, 10)  # written as BT.709; 9 and 10 are BT.2020
HD_HEIGHT = 720  # frames that were never YUV are written as BT.709 from this height on
# Flags of the MP4 muxer.
FRAGMENTED = ('frag_keyframe', 'delay_moov', 'default_base_moof', 'hybrid_fragmented')
LOGGER = logging.getLogger('tevit_vis')


class VideoWriter:
    """Writes frames to a video file, as a context manager.

    The suffix of the path decides the kind of file. The file gets its name when it is complete.
    Until then it is ``<path>.<token>.unfinished<suffix>``, which stays and can be played if the
    process is killed. After an error it is removed, unless ``keeps_partial`` is set and it can be
    played. Frames of odd size are extended by one pixel of the border, since codecs need even
    sizes.

    Args:
        path: file to write: .mp4, .m4v, .mov, .mkv, .webm, .avi or .gif.
        fps: frames per second, for frames that are written without a time.
        endless: whether the video may have no end. Then what was written before an error is kept,
            and the file is not rewritten with its index first.
        keeps_partial: whether what was written before an error is kept.
        style: codec, quality and speed.
        look: how the pixels of the frames are meant.
        sound: file or URL whose sound is copied.

    Raises:
        InputError: the file cannot be written, or no video can have this frame rate.

    Example:
        >>> import os, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with VideoWriter(f'{folder}/a.mp4', fps=10) as writer:
        ...     for _ in range(3):
        ...         writer.write(np.zeros((32, 48, 3), np.uint8))
        >>> os.listdir(folder)
        ['a.mp4']
    """

    def __init__(
        self,
        path: str,
        fps: float,
        endless: bool = False,
        keeps_partial: bool = False,
        style: VideoEncoding | None = None,
        look: VideoLook | None = None,
        sound: str | None = None,
    ) -> None:
        check_rate(path, fps)
        self.path = str(path)
        self.style = style or VideoEncoding()
        self.kind = container_of(self.path)
        self.codec = codec_of(self.path, self.style)
        self.endless = endless
        self.keeps_partial = keeps_partial or endless
        self.has_warned = False  # of dropped frames
        self.failed = False  # after a failure nothing more may be muxed
        self.look = look or VideoLook()
        self.rate = Fraction(fps).limit_denominator(1001 * 60)
        self.stream: Any = None  # of PyAV, from the first frame on
        self.graph: Graph | None = None  # of a GIF's colours
        self.reformat = PixelFormatConverter()
        self.ticks = TICKS if self.kind.has_times else self.rate  # per second
        if self.codec.encoder == 'gif':
            self.ticks = Fraction(100)
        self.last_tick = -1
        self.last_image: np.ndarray | None = None
        check_writable(self.path)
        self.file = UnfinishedFile(self.path, suffix=Path(self.path).suffix, alone=True)
        options = {}
        if self.kind.is_fragmented:
            # The file is written in pieces, each flushed when complete; the end joins them.
            options = {'movflags': '+'.join(FRAGMENTED), 'flush_packets': '1'}
        try:
            self.container = av.open(
                f'file:{self.file.path}', 'w', format=self.kind.muxer, options=options
            )
            self.sound = SoundCopier(sound, self.container, self.path) if sound else None
        except BaseException:
            self.file.discard()
            raise

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, image: np.ndarray, time: float | None = None) -> None:
        """Appends a frame.

        Args:
            image: [H, W, 3] (uint8, BGR).
            time: seconds from the start of the video; None is one frame after the last one.

        Raises:
            InputError: the disk is full, or the codec cannot encode frames of this size.
        """
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')
        try:
            if self.stream is None:
                self._open_encoder(*image.shape[:2])
            if self.kind.has_times:
                self._encode(image, self._tick(time))
            else:
                self._encode_at_one_rate(image, time)
            if self.sound is not None:
                self.sound.copy_until(float(self.last_tick / self.ticks))
        except InputError:  # the sound cannot be written
            self.failed = True
            raise
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.failed = True
            raise self._fault(error, image.shape) from error

    def _open_encoder(self, height: int, width: int) -> None:
        """Opens the encoder for frames of a size, which is known from the first frame on."""
        stream = self.container.add_stream(self.codec.encoder, rate=self.rate)
        stream.height, stream.width = height, width
        stream.pix_fmt = 'pal8' if self.codec.encoder == 'gif' else 'yuv420p'
        options = encoder_options(self.codec, self.style)
        context = stream.codec_context
        context.time_base = 1 / self.ticks
        if self.kind.is_fragmented:
            context.gop_size = max(1, round(2 * self.rate))
        # Without B-frames, frames are stored in the order in which they are shown, so that times
        # start at 0 in files of pieces, too.
        context.max_b_frames = 0
        if self.codec.encoder == 'gif':
            self.graph = palette_graph(width, height, self.ticks)
        else:
            self._tag_colours(context, height)
        context.options = options
        self.stream = stream

    def _tag_colours(self, context: av.VideoCodecContext, height: int) -> None:
        """Tells the encoder what the pixels mean, as far as the source said so."""
        look = self.look
        self.matrix = BT709 if look.matrix in WIDE_MATRICES else BT601
        context.color_range = MPEG_RANGE
        if look.matrix is None:  # the frames come from images: a matrix has to be chosen
            self.matrix = BT709 if height >= HD_HEIGHT else BT601
            context.colorspace = self.matrix
        elif look.matrix != UNSPECIFIED:
            context.colorspace = self.matrix
        context.color_primaries = look.primaries
        context.color_trc = look.transfer
        if look.pixel_aspect != 1:
            context.sample_aspect_ratio = look.pixel_aspect

    def _tick(self, time: float | None) -> int:
        """Returns the tick at which a frame is shown, which is later than the last one."""
        step = max(1, round(self.ticks / self.rate))
        if time is None:
            return self.last_tick + step if self.last_tick >= 0 else 0
        return max(round(time * self.ticks), self.last_tick + 1)

    def _encode(self, image: np.ndarray, tick: int) -> None:
        """Encodes and writes a frame that is shown at a tick."""
        self.last_tick = tick
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format='bgr24')
        if self.graph is None:
            frame = self.reformat(
                frame,
                format='yuv420p',
                dst_colorspace='ITU709' if self.matrix == BT709 else 'ITU601',
                dst_color_range='MPEG',
            )
        frame.pts, frame.time_base = tick, 1 / self.ticks
        for ready in [frame] if self.graph is None else run_filter(self.graph, frame):
            self._mux(self.stream.encode(ready))

    def _mux(self, packets: Sequence[av.Packet]) -> None:
        for packet in packets:
            # Needed for the last packet of a file or piece, since no other one tells its end.
            packet.duration = max(packet.duration or 0, round(1 / self.rate / packet.time_base))
            self.container.mux(packet)

    def _encode_at_one_rate(self, image: np.ndarray, time: float | None) -> None:
        """Repeats the last frame up to the time of the new one, then encodes that one."""
        tick = self.last_tick + 1 if time is None else round(time * self.rate)
        tick = min(tick, self.last_tick + MAX_REPEATS)
        while self.last_image is not None and self.last_tick + 1 < tick:
            self._encode(self.last_image, self.last_tick + 1)
        if tick > self.last_tick:
            self._encode(image, self.last_tick + 1)
        elif not self.has_warned:
            self.has_warned = True
            LOGGER.warning(
                '%s: frames that come faster than %g a second are left out: such a file has one '
                'rate (give a higher --fps, or another suffix)',
                *(self.path, float(self.rate)),
            )
        self.last_image = image

    def _fault(self, error: Exception, shape: tuple[int, ...]) -> InputError:
        """Returns the error for a frame that could not be written."""
        reason = getattr(error, 'strerror', None) or str(error)
        if isinstance(error, (av.error.ExternalError, ValueError)):
            return InputError(
                f'{self.path}: frames must have a size that {self.codec.encoder} can encode, but '
                f'have {shape[1]}x{shape[0]} ({reason}): choose another codec or size'
            )
        return InputError(f'{self.path}: cannot be written: {reason}')

    def __exit__(self, exc_type: type | None, *_: object) -> None:
        fault = self._finish(exc_type is None or self.keeps_partial)
        if exc_type is None and fault is None:
            self.file.publish()
            is_rewritten = not self.endless and os.path.getsize(self.path) <= MAX_REWRITTEN
            if self.last_tick >= 0 and self.kind.is_fragmented and is_rewritten:
                move_index_to_front(self.path, self.kind.muxer, 1 / self.rate)
            return
        if self.keeps_partial and has_frames(self.file.path):
            self.file.publish()
            LOGGER.warning('%s: what was written before is kept', self.path)
        else:
            self.file.discard()
        if exc_type is None and fault is not None:
            if isinstance(fault, InputError):
                raise fault
            raise self._fault(fault, (0, 0)) from fault

    def _finish(self, complete: bool) -> Exception | None:
        """Writes what filter and encoder still hold, and closes the file.

        Returns:
            The error that prevented this, or None.
        """
        fault: Exception | None = None
        try:
            if complete and self.stream is not None and not self.failed:
                if self.graph is not None:
                    for ready in run_filter(self.graph, None):
                        self._mux(self.stream.encode(ready))
                self._mux(self.stream.encode(None))
                if self.sound is not None:
                    self.sound.copy_until(float(self.last_tick / self.ticks + 1 / self.rate))
        except (av.error.FFmpegError, OSError, InputError) as error:
            fault = error
        try:
            self.container.close()
        except (av.error.FFmpegError, OSError) as error:
            fault = fault or error
        if self.sound is not None:
            self.sound.close()
        return fault
