"""The data that the parts of the library exchange, with its shapes checked once.

Letters: N output instances, T frames, K classes, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypedDict

import numpy as np
import torch

from tevit_vis.utils.errors import InputError

SHOWN_SCORES = 5  # of instances that are printed


class RLE(TypedDict):
    """A binary mask in COCO's compressed run-length encoding."""

    size: list[int]  # [H, W]
    counts: str


class ClipMasks(Protocol):
    """Small masks of a clip that become full-size one frame at a time (see `masks.py`)."""

    @property
    def logits(self) -> torch.Tensor:
        """The mask logits [N, T, h, w]."""

    @property
    def num_instances(self) -> int:
        """The number of instances, N."""

    @property
    def num_frames(self) -> int:
        """The number of frames, T."""

    @property
    def size(self) -> tuple[int, int]:
        """The (H, W) of the original frames."""

    @property
    def cells(self) -> tuple[float, float] | None:
        """The (y, x) cells of ``maps`` that the frame covers; None if it covers all of them."""

    def frame(self, index: int) -> torch.Tensor:
        """Returns the binary masks [N, H, W] (bool) of one frame."""

    def maps(self) -> torch.Tensor:
        """Returns logits [N, T, h, w], positive inside a mask, on maps that windows can add up."""


@dataclass(frozen=True)
class ClipPrediction:
    """The instances that a detector predicts in one clip.

    Args:
        queries: [N] int64, the query of each instance; one query may have several labels.
        labels: [N] int64 in 0..K-1.
        scores: [N] float in 0..1.
        class_scores: [N, K] float, the whole class vector of each instance's query.
        boxes: [N, T, 4] float, x1 y1 x2 y2 in pixels of the original frames.
        masks: the N instances in T frames.
        embeddings: [N, C] float, or [N, T, C] if each frame has its own: features of the
            instances, for trackers that compare them.

    Raises:
        ValueError: a field whose shape does not fit the others.
    """

    queries: torch.Tensor
    labels: torch.Tensor
    scores: torch.Tensor
    class_scores: torch.Tensor
    boxes: torch.Tensor
    masks: ClipMasks
    embeddings: torch.Tensor | None = None

    def __post_init__(self) -> None:
        count, frames = self.masks.num_instances, self.masks.num_frames
        expected = {
            'queries': (count,),
            'labels': (count,),
            'scores': (count,),
            'class_scores': (count, self.class_scores.shape[-1]),
            'boxes': (count, frames, 4),
        }
        for name, shape in expected.items():
            check_shape('ClipPrediction', name, tuple(getattr(self, name).shape), shape)
        if self.embeddings is not None:
            shape = tuple(self.embeddings.shape)
            per_frame = (frames,) if len(shape) == 3 else ()
            check_shape('ClipPrediction', 'embeddings', shape, (count, *per_frame, *shape[-1:]))


@dataclass(frozen=True, repr=False)
class VideoInstances:
    """The instances of a whole video.

    Args:
        labels: [N] int64 in 0..K-1.
        scores: [N] float32 in 0..1.
        boxes: [N, T, 4] float32, x1 y1 x2 y2 in pixels of the original frames.
        segmentations: N lists of T masks; None where an instance has none in a frame.
        size: (H, W) of the frames.
        times: [T] seconds from the start of the video; None if its frames have no times.

    Raises:
        ValueError: a field whose shape does not fit the others.
    """

    labels: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    segmentations: list[list[RLE | None]]
    size: tuple[int, int]
    times: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.segmentations)
        check_shape('VideoInstances', 'labels', self.labels.shape, (count,))
        check_shape('VideoInstances', 'scores', self.scores.shape, (count,))
        check_shape('VideoInstances', 'boxes', self.boxes.shape, (count, self.num_frames, 4))
        check_outputs_finite(scores=self.scores, boxes=self.boxes)
        lengths = {len(track) for track in self.segmentations}
        if lengths - {self.num_frames}:
            raise ValueError(
                f'VideoInstances: every instance must have {self.num_frames} masks, '
                f'but got {sorted(lengths)}'
            )

    @property
    def num_frames(self) -> int:
        """The number of frames, T."""
        return int(self.boxes.shape[1])

    def __len__(self) -> int:
        return len(self.segmentations)

    def __repr__(self) -> str:
        """Returns a line: masks and boxes would fill pages."""
        scores = ', '.join(f'{score:.2f}' for score in self.scores[:SHOWN_SCORES])
        more = ', ...' if len(self) > SHOWN_SCORES else ''
        height, width = self.size
        return (
            f'VideoInstances({len(self)} instances in {self.num_frames} frames of '
            f'{width}x{height}, scores [{scores}{more}])'
        )

    def filter_by_score(self, score_thr: float) -> VideoInstances:
        """Returns the instances whose score is at least ``score_thr``, best first."""
        order = np.argsort(-self.scores, kind='stable')
        return self.select(order[self.scores[order] >= score_thr])

    def select(self, order: np.ndarray) -> VideoInstances:
        """Returns the instances at the indices ``order``, in this order."""
        return replace(
            self,
            labels=self.labels[order],
            scores=self.scores[order],
            boxes=self.boxes[order],
            segmentations=[self.segmentations[index] for index in order],
        )

    def to_frame_instances(self, index: int, num_classes: int) -> FrameInstances:
        """Returns the instances that have a mask in a frame; the index of each is its track number.

        Args:
            index: number of the frame.
            num_classes: number of classes, K.
        """
        present = [n for n, track in enumerate(self.segmentations) if track[index] is not None]
        class_scores = np.zeros((len(present), num_classes), np.float32)
        class_scores[np.arange(len(present)), self.labels[present]] = self.scores[present]
        return FrameInstances(
            frame=index,
            tracks=present,
            class_scores=class_scores,
            boxes=self.boxes[present, index],
            masks=[rle for n in present if (rle := self.segmentations[n][index]) is not None],
            size=self.size,
            time=None if self.times is None else float(self.times[index]),
        )


@dataclass(frozen=True, repr=False)
class FrameInstances:
    """The tracks of a video in one of its frames.

    Args:
        frame: number of the frame, from 0.
        tracks: [N] track numbers, from 0; a track keeps its number, and no other ever gets it.
        class_scores: [N, K] float32, means over the windows that the track was in so far.
        boxes: [N, 4] float32, x1 y1 x2 y2 in pixels of the original frame.
        masks: N masks.
        size: (H, W) of the frame.
        time: seconds from the start of the video; None if the frame has no time.

    Raises:
        ValueError: a field whose shape does not fit the others.
    """

    frame: int
    tracks: list[int]
    class_scores: np.ndarray
    boxes: np.ndarray
    masks: list[RLE]
    size: tuple[int, int]
    time: float | None = None

    def __post_init__(self) -> None:
        count, classes = len(self.tracks), self.class_scores.shape[-1]
        check_shape('FrameInstances', 'class_scores', self.class_scores.shape, (count, classes))
        check_shape('FrameInstances', 'boxes', self.boxes.shape, (count, 4))
        check_shape('FrameInstances', 'masks', (len(self.masks),), (count,))
        check_outputs_finite(scores=self.class_scores, boxes=self.boxes)

    def __repr__(self) -> str:
        """Returns a line: masks and boxes would fill pages."""
        height, width = self.size
        return (
            f'FrameInstances(frame {self.frame}, {len(self.tracks)} tracks {self.tracks} in '
            f'{width}x{height})'
        )

    def select(self, order: Sequence[int]) -> FrameInstances:
        """Returns the tracks at the indices ``order``, in this order."""
        places = np.asarray(order, np.int64)
        return replace(
            self,
            tracks=[self.tracks[n] for n in places],
            class_scores=self.class_scores[places],
            boxes=self.boxes[places],
            masks=[self.masks[n] for n in places],
        )

    def to_video_instances(self, score_thr: float) -> tuple[list[int], VideoInstances]:
        """Returns the tracks whose best class scores at least ``score_thr``, best first.

        Returns:
            Their track numbers, and their instances as a video of this one frame.
        """
        scores = self.class_scores.max(1, initial=0)
        order = np.argsort(-scores, kind='stable')
        order = order[scores[order] >= score_thr]
        return [self.tracks[n] for n in order], VideoInstances(
            labels=self.class_scores.argmax(1)[order] if len(order) else np.zeros(0, np.int64),
            scores=scores[order],
            boxes=self.boxes[order][:, None],
            segmentations=[[self.masks[n]] for n in order],
            size=self.size,
        )


def check_outputs_finite(**outputs: np.ndarray) -> None:
    """Checks that the outputs of a model are finite.

    Args:
        outputs: arrays or tensors, by the names that errors give them.

    Raises:
        InputError: an output has a number that is NaN or infinite.

    Example:
        >>> check_outputs_finite(scores=np.zeros(2), boxes=np.zeros((2, 4)))
    """
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise InputError(
                f"{name} must be finite, but the model's are not: its weights diverged, or they "
                'need more than fp16 (amp=bf16 or none)'
            )


def check_shape(owner: str, name: str, shape: Sequence[int], expected: tuple[int, ...]) -> None:
    """Checks the shape of a field of a dataclass.

    Args:
        owner: name of the class.
        name: name of the field.
        shape: shape of the field's value.
        expected: shape that it must have.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> check_shape('VideoInstances', 'scores', (3,), expected=(2,))
        Traceback (most recent call last):
        ValueError: VideoInstances: scores must have shape [2], but got [3]
    """
    if tuple(shape) != expected:
        raise ValueError(f'{owner}: {name} must have shape {list(expected)}, but got {list(shape)}')
