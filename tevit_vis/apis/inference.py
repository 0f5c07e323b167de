"""Finds the instances of a video: in one clip, in windows, or while the video runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tevit_vis.datasets import Frame, FramePipeline
from tevit_vis.mask_filters import filter_masks
from tevit_vis.masks import encode_clip
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.structures import ClipPrediction, FrameInstances, VideoInstances
from tevit_vis.tracking import follow_windows, join_frames, require_same_size, set_windows
from tevit_vis.utils.devices import has_pinned_memory, how_many_fit, precision
from tevit_vis.utils.prefetch import log_dropped, newest_items, prefetch
from tevit_vis.video import FrameSource, TimedFrame, VideoInput, open_source

FRAMES_AHEAD = 64  # most frames that are prepared before the model asks for them
FRAME_BYTES = 20 << 20  # memory of a prepared frame and its image, at 1080p
AHEAD_PART = 0.1  # part of the free memory that prepared frames may take
NO_IMAGE = torch.empty(0)  # replaces the image of a frame whose features are computed
LIVE_FRAMES_HELD = 2  # frames of a camera or stream that may wait; more would add to the delay


def inference_video(
    model: ClipDetector,
    video: VideoInput,
    on_frame: Callable[[], object] = lambda: None,
) -> VideoInstances:
    """Finds the instances of a video.

    Args:
        model: of ``init_model``.
        video: a video file (mp4, avi, webm, ...), a folder or list of images, an array
            [T, H, W, 3] (uint8, BGR), the URL of a stream, the number of a camera, or anything
            else that ``open_source`` takes or returns. A camera or stream is read until it ends;
            ``stream_video`` returns frames as they come.
        on_frame: called after each frame that was read.

    Raises:
        InputError: the video cannot be read.

    Example:
        >>> from tevit_vis.apis import init_model
        >>> model = init_model('synthetic/tevit_tiny', device='cpu')  # its weights are random
        >>> video = np.zeros((2, 32, 48, 3), np.uint8)  # or 'video.mp4'
        >>> instances = inference_video(model, video)
        >>> instances.num_frames, instances.size
        (2, (32, 48))
    """
    source = open_source(video)
    if source.is_live:
        # Raises if the model has no windows: a live video cannot be taken as one clip.
        model.inference_config.streaming_windows()

    times: list[float | None] = []

    def frames() -> Iterator[Frame]:
        for timed_frame, frame in prepared_frames(model, source):
            times.append(timed_frame.time)
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
    """Finds the instances of a video while it runs, in memory that does not grow with its length.

    A frame is returned with its tracks as soon as no later window can cover it. With windows of
    L frames at stride S, that is when L to L + S - 1 more frames have been read, or at the end of
    the video. If frames of a camera or a live stream come faster than the model works, some are
    left out.

    Args:
        model: of ``init_model``.
        video: as of ``inference_video``.
        window: L; the default is ``test_cfg.windows.length``.
        stride: S; the default is ``test_cfg.windows.stride``, or L - 1 where that is less.

    Returns:
        An iterator of frames [H, W, 3] (uint8, BGR) and all of their tracks. Class scores are
        means over the windows so far; ``FrameInstances.to_video_instances`` selects tracks by
        score. In a track's last frame, the scores above ``tracker.min_score`` are those that
        ``inference_video`` outputs.

    Raises:
        InputError: the video cannot be read, or the model has no windows.

    Example:
        >>> from tevit_vis.apis import init_model
        >>> model = init_model('synthetic/ifc_tiny', device='cpu')  # its weights are random
        >>> video = np.zeros((3, 32, 48, 3), np.uint8)  # or 'rtsp://host/stream', or 0 for a camera
        >>> [instances.frame for image, instances in stream_video(model, video, window=2)]
        [0, 1, 2]
    """
    if window is not None or stride is not None:
        set_windows(model.test_cfg, window, stride)
    model.inference_config.streaming_windows()
    source = open_source(video)
    waiting: deque[TimedFrame] = deque()  # frames whose tracks are not known yet

    def frames() -> Iterator[Frame]:
        for timed_frame, frame in prepared_frames(model, source):
            waiting.append(timed_frame)
            yield frame

    @torch.inference_mode()
    def tracked() -> Iterator[tuple[np.ndarray, FrameInstances]]:
        for instances in track_windows(model, require_same_size(frames(), original_size)):
            image, time = waiting.popleft()
            yield image, replace(instances, time=time)

    return tracked()


def prepared_frames(model: ClipDetector, source: FrameSource) -> Iterator[tuple[TimedFrame, Frame]]:
    """Yields the frames of a source with the model's input for each, prepared by threads."""
    pipeline = FramePipeline(model.cfg.data.test.pipeline)

    frames = source.timed_frames()
    return prefetch(
        lambda frame: (frame, pipeline.from_array(frame.image)),
        newest_items(frames, LIVE_FRAMES_HELD, log_dropped) if source.is_live else frames,
        num_workers=2,
        ahead=1 if source.is_live else frames_ahead(),
    )


def frames_ahead() -> int:
    """Returns how many frames are prepared ahead, for the memory that is free."""
    cpu = torch.device('cpu')
    return how_many_fit(cpu, FRAME_BYTES, least=1, most=FRAMES_AHEAD, part=AHEAD_PART)


@torch.inference_mode()
def predict_video(model: ClipDetector, frames: Iterable[Frame]) -> VideoInstances:
    """Returns the instances of a video, taken as one clip or in ``test_cfg.windows``.

    Args:
        frames: T frames of one size. Windows read them one by one; a clip needs all at once.

    Raises:
        InputError: the frames differ in size, or the windows are not valid.
    """
    frames = require_same_size(frames, original_size)
    if model.inference_config.windows:
        min_score = model.inference_config.build_tracker().min_score
        instances = join_frames(track_windows(model, frames), min_score)
    else:
        instances = predict_one_clip(model, frames)
    return output_instances(model, instances)


def output_instances(model: ClipDetector, instances: VideoInstances) -> VideoInstances:
    """Returns the instances that pass the mask filters of the model's ``test_cfg``."""
    config = model.inference_config
    return filter_masks(instances, config.drop_empty, config.min_mask_score)


def original_size(frame: Frame) -> tuple[int, int]:
    """Returns the (H, W) of a frame as it was read."""
    height, width = frame.meta['ori_shape'][:2]
    return height, width


def predict_one_clip(model: ClipDetector, frames: Iterable[Frame]) -> VideoInstances:
    """Returns the instances of a video that the model takes as one clip."""
    device = next(model.parameters()).device
    images, metas = zip(*frames)
    clip = clip_on_device(images, device)
    del images  # the clip is a copy of them
    with precision(device, model.amp_dtype):
        features = model.extract_feat(clip)
        del clip
        prediction = model.predict_clip(features, metas)
    return encode_clip(prediction)


def clip_on_device(images: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Returns T images [3, H, W] as a clip [1, T, 3, H, W] on a device.

    For a GPU the clip is laid out in pinned memory, so that the GPU copies it while it computes.
    """
    if not has_pinned_memory(device):
        return torch.stack(list(images))[None].to(device)
    clip = torch.empty(len(images), *images[0].shape, dtype=images[0].dtype, pin_memory=True)
    torch.stack(list(images), out=clip)
    return clip[None].to(device, non_blocking=True)


@dataclass
class CachedFrame:
    """A frame that a window may still need, with its features once they are computed."""

    frame: Frame
    levels: list[torch.Tensor] | None = None  # [1, 1, C, H_l, W_l] each


def track_windows(model: ClipDetector, frames: Iterable[Frame]) -> Iterator[FrameInstances]:
    """Joins the instances of overlapping windows to tracks and yields them frame by frame.

    Backbone and neck run once per frame, on all new frames of a window together; the features are
    kept while a window may need them. If the backbone mixes the frames of a clip, it runs on
    every window as a whole.

    Args:
        model: a model whose ``test_cfg`` has windows and a tracker.
        frames: at least one, of one size.
    """
    device = next(model.parameters()).device
    tracker = model.inference_config.build_tracker()
    windows = model.inference_config.streaming_windows()

    def predict(window: Sequence[CachedFrame]) -> ClipPrediction:
        with precision(device, model.amp_dtype):
            levels = window_features(model, window, device)
            return model.predict_clip(levels, [cached.frame.meta for cached in window])

    yield from follow_windows(map(CachedFrame, frames), windows, tracker, predict)


def window_features(
    model: ClipDetector, window: Sequence[CachedFrame], device: torch.device
) -> Sequence[torch.Tensor]:
    """Returns the features [1, T, C, H_l, W_l] of a window; only missing ones are computed."""
    if not model.frames_are_independent:
        return model.extract_feat(clip_on_device([cached.frame.img for cached in window], device))
    new = [cached for cached in window if cached.levels is None]
    if new:
        levels = model.extract_feat(clip_on_device([cached.frame.img for cached in new], device))
        for cached, *maps in zip(new, *(level.split(1, dim=1) for level in levels)):
            # A view would keep the maps of all new frames in memory as long as this frame.
            cached.levels = [view.clone() for view in maps] if len(new) > 1 else maps
            cached.frame = cached.frame._replace(img=NO_IMAGE)
    return [torch.cat(level, 1) for level in zip(*(cached.levels or () for cached in window))]
