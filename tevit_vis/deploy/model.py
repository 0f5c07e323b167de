"""An exported model that finds the instances of videos."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

import numpy as np

from tevit_vis.geometry import FrameGeometry
from tevit_vis.inference_config import InferenceConfig
from tevit_vis.mask_filters import filter_masks
from tevit_vis.numpy_masks import encode_clip
from tevit_vis.outputs.selection import FramesWithTracks
from tevit_vis.structures import ClipPrediction, FrameInstances, VideoInstances
from tevit_vis.tracking import follow_windows, join_frames, require_same_size, set_windows
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.prefetch import log_dropped, newest_items, prefetch
from tevit_vis.video import TimedFrame, VideoInput, open_source

from .folder import Graphs, ModelFolder, read_folder
from .predictions import (
    best_instances,
    clip_prediction,
    first_frames,
    join_frame_queries,
    queries_with_objects,
)
from .preparation import Preparation, PreparedFrame
from .sessions import Graph, providers_of

original_size = attrgetter('original')
FRAMES_AHEAD = 8  # frames that are prepared before the model asks for them
CPU_FRAMES_PER_PASS, GPU_FRAMES_PER_PASS = 1, 4  # through the graph of features; memory grows
LIVE_FRAMES_HELD = 2  # frames of a camera or stream that may wait; more would add to the delay


@dataclass
class CachedFrame:
    """A frame that a window may still need, with its feature maps once they are computed."""

    frame: PreparedFrame
    levels: list[np.ndarray] | None = None  # [1, C, H_l, W_l] each


def load_model(
    folder: str | os.PathLike, device: str = 'cpu', threads: int | None = None
) -> ExportedModel:
    """Loads an exported model.

    Args:
        folder: of ``tevit-vis export``.
        device: ``cpu``, ``cuda`` or ``tensorrt``.
        threads: of the CPU; None takes ``OMP_NUM_THREADS``, else all cores.

    Raises:
        InputError: the folder is not whole, or of another version; onnxruntime cannot run it.

    Example:
        >>> model = load_model('exported')  # doctest: +SKIP
        >>> model.inference_video('walk.mp4')  # doctest: +SKIP
        VideoInstances(3 instances in 36 frames of 640x360, scores [0.98, 0.91, 0.40])
    """
    providers_of(device)
    model = ExportedModel(read_folder(os.fspath(folder)), device, threads)
    model.load()
    return model


class ExportedModel:
    """Finds the instances of videos as ``apis.inference_video`` and ``apis.stream_video`` do.

    Args:
        folder: of ``read_folder``.
        device: see ``load_model``.
        threads: see ``load_model``.
    """

    def __init__(self, folder: ModelFolder, device: str, threads: int | None) -> None:
        self.folder = folder
        self.device = device
        self.threads = threads
        self.test_cfg = folder.test_cfg
        self.prepare = Preparation(folder.preparation)
        self.loaded: dict[str, Graph] = {}

    @property
    def CLASSES(self) -> Sequence[str]:  # noqa: N802  (mmdet's name for it)
        """The name of each label."""
        return self.folder.classes

    @property
    def inference_config(self) -> InferenceConfig:
        """The checked ``test_cfg``."""
        return InferenceConfig.of(self.test_cfg)

    def load(self) -> None:
        """Loads the graphs of the first size, so that what is wrong is said at once.

        Raises:
            InputError: onnxruntime cannot load them, or cannot use the device.
        """
        self._graph(self.folder.graphs[0].features)
        self._graph(self.folder.graphs[0].predictions)

    def change_windows(self, window: int | None = None, stride: int | None = None) -> None:
        """Changes the windows over a video; None keeps what there is.

        Raises:
            InputError: the windows are not possible.
        """
        set_windows(self.test_cfg, window, stride)

    def inference_video(
        self, video: VideoInput, on_frame: Callable[[], object] = lambda: None
    ) -> VideoInstances:
        """Finds the instances of a video.

        Args:
            video: a file, a folder or list of images, an array [T, H, W, 3] (uint8, BGR), the URL
                of a stream, or what ``open_source`` returns.
            on_frame: called after each frame that was read.

        Raises:
            InputError: the video cannot be read, or the graphs do not take its frames.
        """
        times: list[float | None] = []
        config = self.inference_config

        def frames() -> Iterator[PreparedFrame]:
            for timed, frame in self._prepared(video):
                times.append(timed.time)
                yield frame
                on_frame()

        if config.windows is not None:
            tracked = self._tracked(frames())
            instances = join_frames(tracked, config.build_tracker().min_score)
        else:
            cached = [CachedFrame(frame) for frame in require_same_size(frames(), original_size)]
            instances = encode_clip(self.predict(cached))
        instances = filter_masks(instances, config.drop_empty, config.min_mask_score)
        return instances if None in times else replace(instances, times=np.array(times))

    def stream_video(self, video: VideoInput) -> FramesWithTracks:
        """Returns the frames of a video with their tracks as they come, see ``apis.stream_video``.

        Raises:
            InputError: the model has no windows, the video cannot be read, or the graphs do not
                take its frames.
        """
        self.inference_config.streaming_windows()
        waiting: deque[TimedFrame] = deque()  # frames whose tracks are not known yet

        def frames() -> Iterator[PreparedFrame]:
            for timed, frame in self._prepared(video):
                waiting.append(timed)
                yield frame

        def tracked() -> FramesWithTracks:
            for instances in self._tracked(frames()):
                image, time = waiting.popleft()
                yield image, replace(instances, time=time)

        return tracked()

    def _prepared(self, video: VideoInput) -> Iterator[tuple[TimedFrame, PreparedFrame]]:
        """Yields the frames of a video as they are and as the network takes them."""
        source = open_source(video)
        frames = source.timed_frames()
        return prefetch(
            lambda frame: (frame, self.prepare(frame.image)),
            newest_items(frames, LIVE_FRAMES_HELD, log_dropped) if source.is_live else frames,
            num_workers=1,
            ahead=1 if source.is_live else FRAMES_AHEAD,
        )

    def _tracked(self, frames: Iterator[PreparedFrame]) -> Iterator[FrameInstances]:
        """Yields the tracks of each frame."""
        config = self.inference_config
        return follow_windows(
            map(CachedFrame, require_same_size(frames, original_size)),
            config.streaming_windows(),
            config.build_tracker(),
            self.predict,
        )

    def predict(self, window: Sequence[CachedFrame]) -> ClipPrediction:
        """Returns the instances in the frames of a window or a video.

        Raises:
            InputError: there are no graphs for these frames, or not for so many.
        """
        frame = window[0].frame
        padded = frame.image.shape[1], frame.image.shape[2]
        graphs = self.folder.graphs_for(frame.resized, padded, frame.original)
        num_frames = len(window)
        if graphs.num_frames is not None and num_frames > graphs.num_frames:
            raise InputError(
                f'{self.folder.path}: takes clips of {graphs.num_frames} frames, but this one has '
                f'{num_frames}: set windows of at most so many, or export it without --frames'
            )
        # A shorter clip goes on with its last frame, whose results are cut off again.
        window = [*window, *[window[-1]] * ((graphs.num_frames or 0) - num_frames)]
        levels = self._features(window, graphs)
        run, config = self._graph(graphs.predictions), self.inference_config
        if self.folder.predictions == 'frame_queries':
            frames = [run([level[t : t + 1] for level in levels]) for t in range(len(window))]
            outputs = join_frame_queries(frames, config)
        elif self.folder.predictions == 'clip_queries':
            outputs = queries_with_objects(run(levels))
        else:
            outputs = best_instances(run(levels), config)
        if len(window) > num_frames:
            outputs = first_frames(outputs, num_frames)
        scale = frame.resized[1] / frame.original[1], frame.resized[0] / frame.original[0]
        geometry = FrameGeometry(frame.original, frame.resized, padded, scale)
        return clip_prediction(outputs, self.folder, geometry, config)

    def _features(self, window: Sequence[CachedFrame], graphs: Graphs) -> list[np.ndarray]:
        """Returns the feature maps [T, C, H_l, W_l] of a window; only missing ones are computed."""
        run = self._graph(graphs.features)
        if not self.folder.frames_are_independent:
            images = np.stack([cached.frame.image for cached in window])
            return list(run([images]).values())
        new = [cached for cached in window if cached.levels is None]
        at_once = CPU_FRAMES_PER_PASS if self.device == 'cpu' else GPU_FRAMES_PER_PASS
        for start in range(0, len(new), at_once):
            part = new[start : start + at_once]
            maps = list(run([np.stack([cached.frame.image for cached in part])]).values())
            for n, cached in enumerate(part):
                cached.levels = [level[n : n + 1].copy() for level in maps]
        own = [cached.levels for cached in window if cached.levels is not None]
        return [np.concatenate(level) for level in zip(*own)]

    def _graph(self, name: str) -> Graph:
        """Returns a graph, which is loaded when it is used first."""
        if name not in self.loaded:
            path = Path(self.folder.path, name)
            self.loaded[name] = Graph(path, self.device, self.threads)
        return self.loaded[name]
