"""A model from a config and a checkpoint; the instances of a video."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tevit_vis.datasets import Frame, FramePipeline
from tevit_vis.masks import encode_clip, keep_masks
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.structures import FrameInstances, VideoInstances
from tevit_vis.tracking import cut_windows, join_frames, set_windows
from tevit_vis.utils.devices import has_pinned_memory, how_many_fit, precision
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.prefetch import newest, prefetch
from tevit_vis.video import FrameSource, TimedFrame, VideoInput, open_source

FRAMES_AHEAD = 64  # prepared before the model asks for them, at most
FRAME_BYTES = 20 << 20  # of one of them and its image, at 1080p
AHEAD_PART = 0.1  # of the free memory
NO_IMAGE = torch.empty(0)  # of a frame whose features are known
LIVE_FRAMES_HELD = 2  # of a camera or live stream, where they add to the delay
LOGGER = logging.getLogger('tevit_vis')


def inference_video(
    model: ClipDetector,
    video: VideoInput,
    on_frame: Callable[[], object] = lambda: None,
) -> VideoInstances:
    """Find the instances of a video.

    Args:
        model: of ``init_model``.
        video: a video file (mp4, avi, webm, ...), a folder or list of images, an array
            [T, H, W, 3] (uint8, BGR), the URL of a stream, the number of a camera, or what else
            ``open_source`` takes or gave. A camera or stream is looked at until it ends;
            ``stream_video`` gives frames as they come.
        on_frame: called after each frame that was read.

    Raises:
        InputError: a video that cannot be read.
    """
    source = open_source(video)
    if source.live:
        model.inference_config.streaming_windows()  # a clip would never be whole

    times: list[float | None] = []

    def frames() -> Iterator[Frame]:
        for shown, frame in prepared_frames(model, source):
            times.append(shown.time)
            yield frame
            on_frame()

    instances = predict_video(model, frames())
    return instances if None in times else replace(instances, times=np.array(times))


def stream_video(
    model: ClipDetector,
    video: VideoInput,
    window: int | None = None,
    stride: int | None = None,
) -> Iterator[tuple[np.ndarray, FrameInstances]]:
    """Find the instances of a video while it runs, in memory that does not grow with its length.

    A frame comes out with its tracks as soon as no window that follows can cover it: with windows
    of L frames at stride S, when L to L + S - 1 frames more have been read, and at the end of
    the video. Of a camera or a live stream, frames that come faster than the model works are
    left out.

    Args:
        model: of ``init_model``.
        video: as of ``inference_video``.
        window: L; the default is ``test_cfg.windows.length``.
        stride: S; the default is ``test_cfg.windows.stride``, or L - 1 where that is less.

    Returns:
        An iterator of frames [H, W, 3] (uint8, BGR) and all of their tracks, whose class scores
        are means so far; ``FrameInstances.above`` chooses. Of a track's last frame they are what
        ``inference_video`` outputs where they are above ``windows.min_score``.

    Raises:
        InputError: a video that cannot be read, or a model without windows.
    """
    if window is not None or stride is not None:
        set_windows(model.test_cfg, window, stride)
    model.inference_config.streaming_windows()
    source = open_source(video)
    waiting: deque[TimedFrame] = deque()  # frames whose tracks are not known yet

    def frames() -> Iterator[Frame]:
        for shown, frame in prepared_frames(model, source):
            waiting.append(shown)
            yield frame

    @torch.inference_mode()
    def tracked() -> Iterator[tuple[np.ndarray, FrameInstances]]:
        for found in track_windows(model, of_one_size(frames())):
            image, time = waiting.popleft()
            yield image, replace(found, time=time)

    return tracked()


def prepared_frames(model: ClipDetector, source: FrameSource) -> Iterator[tuple[TimedFrame, Frame]]:
    """Frames of a source beside what the model takes, prepared by threads."""
    pipeline = FramePipeline(model.cfg.data.test.pipeline)

    def report(dropped: int, count: int) -> None:
        if dropped:
            LOGGER.warning(
                '%d of %d frames were left out: they came faster than the model is', dropped, count
            )

    frames = source.timed()
    return prefetch(
        lambda frame: (frame, pipeline.from_array(frame.image)),
        newest(frames, LIVE_FRAMES_HELD, report) if source.live else frames,
        num_workers=2,
        ahead=1 if source.live else frames_ahead(),
    )


def frames_ahead() -> int:
    """Returns how many frames are prepared ahead, for the memory that is free."""
    cpu = torch.device('cpu')
    return how_many_fit(cpu, FRAME_BYTES, least=1, most=FRAMES_AHEAD, part=AHEAD_PART)


@torch.inference_mode()
def predict_video(model: ClipDetector, frames: Iterable[Frame]) -> VideoInstances:
    """The instances of a video: of one clip, or of ``test_cfg.windows`` that are stitched.

    Args:
        frames: T frames of one size. Windows take them as they come; a clip takes all at once.

    Raises:
        InputError: frames of several sizes, or windows that cannot be.
    """
    frames = of_one_size(frames)
    if model.inference_config.windows:
        min_score = model.inference_config.build_tracker().min_score
        instances = join_frames(track_windows(model, frames), min_score)
    else:
        instances = predict_whole(model, frames)
    return output_instances(model, instances)


def output_instances(model: ClipDetector, instances: VideoInstances) -> VideoInstances:
    """Returns what of a video's instances the model's ``test_cfg`` lets through."""
    config = model.inference_config
    return keep_masks(instances, config.drop_empty, config.min_mask_score)


def of_one_size(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The frames, as long as they are like the first.

    Raises:
        InputError: one is not, or there is none.
    """
    first: tuple[int, ...] = ()
    for number, frame in enumerate(frames):
        height, width = frame.meta['ori_shape'][:2]
        first = first or (height, width)
        if (height, width) != first:
            raise InputError(
                f'frame {number} must be {first[1]}x{first[0]} like the first one, '
                f'but is {width}x{height}'
            )
        yield frame
    if not first:
        raise InputError('a video must have at least one frame, but has none')


def predict_whole(model: ClipDetector, frames: Iterable[Frame]) -> VideoInstances:
    """The instances of a video that is one clip."""
    device = next(model.parameters()).device
    images, metas = zip(*frames)
    clip = clip_on_device(images, device)
    del images  # held only once
    with precision(device, model.amp_dtype):
        features = model.extract_feat(clip)
        del clip
        prediction = model.predict_clip(features, metas)
    return encode_clip(prediction)


def clip_on_device(images: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Returns T images [3, H, W] as a clip [1, T, 3, H, W] on a device, which a GPU copies from
    memory of its own while it computes.
    """
    if not has_pinned_memory(device):
        return torch.stack(list(images))[None].to(device)
    clip = torch.empty(len(images), *images[0].shape, dtype=images[0].dtype, pin_memory=True)
    torch.stack(list(images), out=clip)
    return clip[None].to(device, non_blocking=True)


@dataclass
class HeldFrame:
    """A frame that a window may need, and its features once they are known."""

    frame: Frame
    levels: list[torch.Tensor] | None = None  # [1, 1, C, H_l, W_l] each


def track_windows(model: ClipDetector, frames: Iterable[Frame]) -> Iterator[FrameInstances]:
    """Joins the instances of overlapping windows to tracks and returns them frame by frame.

    A frame passes backbone and neck once, together with the others that its first window brings;
    its features are held while a window may need them. With a backbone that mixes the frames of a
    clip, it passes them in each of its windows.

    Args:
        model: whose ``test_cfg`` has windows and a tracker.
        frames: at least one, of one size.
    """
    device = next(model.parameters()).device
    tracker = model.inference_config.build_tracker()
    windows = model.inference_config.streaming_windows()
    for numbers, window in cut_windows(map(HeldFrame, frames), windows):
        yield from tracker.close(before=numbers.start)  # known before the model works
        with precision(device, model.amp_dtype):
            levels = window_features(model, window, device)
            prediction = model.predict_clip(levels, [held.frame.meta for held in window])
        tracker.add(numbers, prediction)
    yield from tracker.close()


def window_features(
    model: ClipDetector, window: Sequence[HeldFrame], device: torch.device
) -> Sequence[torch.Tensor]:
    """Returns the features [1, T, C, H_l, W_l] of a window, computing those that are not known."""
    if not model.frames_are_independent:
        return model.extract_feat(clip_on_device([held.frame.img for held in window], device))
    new = [held for held in window if held.levels is None]
    if new:
        levels = model.extract_feat(clip_on_device([held.frame.img for held in new], device))
        for held, *maps in zip(new, *(level.split(1, dim=1) for level in levels)):
            # A map of its own lets go of the others with its frame.
            held.levels = [each.clone() for each in maps] if len(new) > 1 else maps
            held.frame = held.frame._replace(img=NO_IMAGE)
    return [torch.cat(level, 1) for level in zip(*(held.levels or () for held in window))]
