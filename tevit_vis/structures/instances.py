"""The instances of a video, and the tracks in one of its frames.

Methods that write or convert import what does it when they are called: it builds on this module.

Letters: N instances, T frames, K classes, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np

from .checks import check_outputs_finite, check_shape

SHOWN_SCORES = 5  # of instances that are printed


class RLE(TypedDict):
    """A binary mask in COCO's compressed run-length encoding."""

    size: list[int]  # [H, W]
    counts: str


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

    def masks(self, index: int) -> np.ndarray:
        """Returns the masks [N, H, W] (bool) of a frame, empty where an instance has none.

        Example:
            >>> mask = {'size': [2, 2], 'counts': '04'}
            >>> one = np.ones(1)
            >>> VideoInstances(one, one, np.zeros((1, 1, 4)), [[mask]], (2, 2)).masks(0).shape
            (1, 2, 2)
        """
        from tevit_vis.rle import decode_rle

        masks = np.zeros((len(self), *self.size), bool)
        for n, track in enumerate(self.segmentations):
            if (mask := track[index]) is not None:
                masks[n] = decode_rle(mask)
        return masks

    def to_json(self, class_names: Sequence[str]) -> dict:
        """Returns the content of a JSON file, as ``tevit-vis predict --json`` writes it."""
        from tevit_vis.evaluation.submission import instances_to_json

        return instances_to_json(self, class_names)

    def to_files(
        self,
        class_names: Sequence[str],
        images: Iterable[np.ndarray] | None = None,
        **files: Any,
    ) -> None:
        """Writes masks, tables and labels, as ``tevit-vis predict`` does.

        Args:
            class_names: name of each label.
            images: [H, W, 3] (uint8, BGR) of the frames, which crops need.
            files: arguments of ``outputs.Outputs``: json, jsonl, masks and mask_form, tables,
                cvat, crops, score_thr.

        Raises:
            InputError: a file cannot be written.

        Example:
            >>> instances.to_files(['cat'], masks='masks', mask_form='mots')  # doctest: +SKIP
            >>> instances.to_files(['cat'], tables={'csv': 'a.csv'})  # doctest: +SKIP
        """
        from tevit_vis.outputs import Outputs, write_instances

        write_instances(self, class_names, Outputs(**files), images)

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

    def to_supervision(self, class_names: Sequence[str]) -> Any:
        """Returns ``supervision.Detections``, see ``formats.to_supervision``.

        Raises:
            InputError: supervision is not installed.
        """
        from tevit_vis.formats import to_supervision

        return to_supervision(self, class_names)

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
