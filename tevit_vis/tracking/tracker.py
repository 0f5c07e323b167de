"""The interface of trackers: they take the windows of a video in order and return its frames."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tevit_vis.rle import encode_array
from tevit_vis.structures import RLE, ClipPrediction, FrameInstances, VideoInstances
from tevit_vis.utils.building import build
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.registry import TRACKERS
from tevit_vis.utils.values import check_fraction

TRACKER_KEY = 'model.test_cfg.tracker'


class Tracker(ABC):
    """Joins the instances of overlapping windows to tracks of the video.

    A tracker is made for one video. Register a new one with ``TRACKERS.register_module()`` and name
    it in ``model.test_cfg.tracker``.

    Args:
        min_score: mean probability above which a track is output under a class, 0 to 1.
    """

    def __init__(self, min_score: float) -> None:
        self.min_score = check_fraction(f'{TRACKER_KEY}.min_score', min_score)

    @abstractmethod
    def add(self, frames: range, prediction: ClipPrediction) -> list[int]:
        """Matches the instances of the next window with the tracks.

        Args:
            frames: numbers of the window's frames, none of which is closed.
            prediction: prediction for the window: N instances in T frames.

        Returns:
            The track number of each instance, [N]; -1 for one that the tracker leaves out.
        """

    @abstractmethod
    def close(self, before: int | None = None) -> list[FrameInstances]:
        """Returns the frames that no later window can change and that were not returned yet.

        Args:
            before: the first frame of the next window; None closes all frames.
        """


def build_tracker(config: Mapping | None) -> Tracker:
    """Builds the tracker of a config.

    Raises:
        InputError: the config has no type, an unknown type, or wrong arguments.

    Example:
        >>> build_tracker(dict(type='SoftIoUStitcher', min_iou=0.05, min_score=0.01)).min_score
        0.01
    """
    if not isinstance(config, Mapping) or 'type' not in config:
        raise InputError(
            f"{TRACKER_KEY}: must be dict(type='SoftIoUStitcher', ...), but got {config!r}"
        )
    options = dict(config)
    return build(TRACKER_KEY, lambda: TRACKERS.build(options))


def whole_config(config: Mapping | None) -> dict[str, Any]:
    """Returns the config of a tracker with the arguments that it leaves out, at their defaults.

    Raises:
        InputError: see ``build_tracker``.

    Example:
        >>> whole_config(dict(type='SoftIoUStitcher', min_iou=0.05, min_score=0.01))['memory']
        0
    """
    build_tracker(config)  # raises where it is not right
    assert config is not None
    parameters = inspect.signature(TRACKERS.get(config['type'])).parameters.values()
    whole = {each.name: each.default for each in parameters if each.default is not each.empty}
    for name, value in config.items():
        default = whole.get(name)
        whole[name] = {**default, **(value or {})} if isinstance(default, Mapping) else value
    return {name: dict(each) if isinstance(each, Mapping) else each for name, each in whole.items()}


def join_frames(frames: Iterable[FrameInstances], min_score: float) -> VideoInstances:
    """Returns every (track, class) of a video whose mean probability is above ``min_score``.

    Frames in which a track was never found have an empty mask and a box of zeros.

    Args:
        frames: at least one.
        min_score: 0 to 1.

    Example:
        >>> frame = FrameInstances(
        ...     frame=0,
        ...     tracks=[7],
        ...     class_scores=np.array([[0.2, 0.9]]),
        ...     boxes=np.zeros((1, 4)),
        ...     masks=[{'size': [2, 2], 'counts': '04'}],
        ...     size=(2, 2),
        ... )
        >>> join_frames([frame], min_score=0.3).labels.tolist()
        [1]
    """
    in_frames: dict[int, dict[int, tuple[np.ndarray, RLE]]] = {}  # by track, then frame
    class_scores: dict[int, np.ndarray] = {}
    for frame in frames:
        for track, scores, box, mask in zip(
            frame.tracks, frame.class_scores, frame.boxes, frame.masks
        ):
            in_frames.setdefault(track, {})[frame.frame] = box, mask
            class_scores[track] = scores  # at its last frame, means over all its windows
    size, num_frames = frame.size, frame.frame + 1
    empty = np.zeros(4), encode_array(np.zeros(size, bool))
    labels, scores_of_labels, boxes = [], [], []
    segmentations: list[list[RLE | None]] = []
    for track in sorted(in_frames):
        for label in np.flatnonzero(class_scores[track] > min_score):
            tube = [in_frames[track].get(t, empty) for t in range(num_frames)]
            labels.append(label)
            scores_of_labels.append(class_scores[track][label])
            boxes.append(np.stack([box for box, _ in tube]))
            segmentations.append([mask for _, mask in tube])
    return VideoInstances(
        labels=np.array(labels, np.int64),
        scores=np.array(scores_of_labels, np.float32),
        boxes=np.array(boxes, np.float32).reshape(-1, num_frames, 4),
        segmentations=segmentations,
        size=size,
    )
