"""What passes between the parts of the library, with its shapes checked once.

Letters: N output instances, T frames, K classes, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypedDict

import numpy as np
import torch

from tevit_vis.utils.errors import InputError


class RLE(TypedDict):
    """A binary mask in COCO's compressed run-length encoding."""

    size: list[int]  # [H, W]
    counts: str


@dataclass(frozen=True)
class FrameGeometry:
    """Where the pixels of an original frame lie in the network's input.

    A frame is resized, then padded on the right and at the bottom. Everything that goes from the
    network back to the frame asks this object, so that no head resizes the padded area.

    Args:
        original: (H, W) of the frame as it was read.
        resized: (H, W) of the frame in the network's input, before padding.
        padded: (H, W) of the network's input.
        scale: (x, y), pixels of the network's input per pixel of the original frame.

    Raises:
        InputError: the sizes contradict each other: the frame was cropped, or padded on the left
            or at the top.

    Example:
        >>> geometry = FrameGeometry((360, 640), (90, 160), (96, 160), (0.25, 0.25))
        >>> geometry.boxes_to_frame(torch.tensor([[40.0, 0.0, 160.0, 90.0]])).tolist()
        [[160.0, 0.0, 640.0, 360.0]]
        >>> geometry.cells(torch.zeros(1, 12, 20), stride=8)
        (11.25, 20.0)
        >>> geometry.crop_to_image(torch.zeros(1, 24, 40), stride=4).shape
        torch.Size([1, 23, 40])
    """

    original: tuple[int, int]
    resized: tuple[int, int]
    padded: tuple[int, int]
    scale: tuple[float, float]

    def __post_init__(self) -> None:
        for axis, name in ((0, 'height'), (1, 'width')):
            original, resized = self.original[axis], self.resized[axis]
            if not 0 < resized <= self.padded[axis]:
                raise InputError(
                    f'data.test.pipeline: the padded {name} must be at least the {resized} pixels '
                    f'of the resized frame, but is {self.padded[axis]}'
                )
            scaled = original * self.scale[1 - axis]
            if abs(scaled - resized) > 0.51:  # a scale may be given before sizes are rounded
                raise InputError(
                    f'data.test.pipeline: the resized {name} must be the {original} pixels of the '
                    f'frame x scale {self.scale[1 - axis]:g} = {scaled:.1f}, but is {resized}: '
                    'a test pipeline may resize and pad, not crop'
                )

    @classmethod
    def of_clip(cls, metas: Sequence[Mapping]) -> FrameGeometry:
        """Returns the geometry that all frames of a clip share.

        Args:
            metas: T dicts of mmdet's test pipeline, with ``ori_shape``, ``img_shape``,
                ``pad_shape`` and ``scale_factor`` = (x, y, x, y).

        Raises:
            InputError: frames that differ, that were flipped, or whose sizes contradict each
                other.
        """
        found = {
            cls(
                original=tuple(meta['ori_shape'][:2]),
                resized=tuple(meta['img_shape'][:2]),
                padded=tuple(meta['pad_shape'][:2]),
                scale=_scale_of(meta),
            )
            for meta in metas
        }
        if len(found) != 1:
            raise InputError(
                f'data.test.pipeline: the frames of a clip must share a geometry, but got {found}'
            )
        if any(meta.get('flip') for meta in metas):
            raise InputError('data.test.pipeline: frames must not be flipped, but flip is True')
        return found.pop()

    def boxes_to_frame(self, boxes: torch.Tensor) -> torch.Tensor:
        """Boxes [..., 4], x1 y1 x2 y2, from pixels of the network's input to original pixels."""
        return boxes / boxes.new_tensor(self.scale * 2)

    def relative_boxes_to_frame(self, boxes: torch.Tensor) -> torch.Tensor:
        """Boxes [..., 4], x1 y1 x2 y2, from shares of the resized frame to original pixels."""
        height, width = self.resized
        return boxes * boxes.new_tensor([width / self.scale[0], height / self.scale[1]] * 2)

    def cells(self, maps: torch.Tensor, stride: int) -> tuple[float, float]:
        """(y, x) cells of maps over the padded input that the frame covers; the last may be a part.

        PARITY(SeqFormer, IFC): where nothing was padded, the whole map is the frame, also where
        its last cells reach beyond the input.

        Args:
            maps: [..., h, w], of which nothing or what ``crop_to_image`` says was cut off.
            stride: pixels of the network's input along a cell.
        """
        y, x = (
            resized / stride if resized < padded else float(count)
            for resized, padded, count in zip(self.resized, self.padded, maps.shape[-2:])
        )
        return y, x

    def crop_to_image(self, maps: torch.Tensor, stride: int) -> torch.Tensor:
        """The cells of maps over the padded input that hold a pixel of the frame.

        Args:
            maps: [..., h, w].
            stride: pixels of the network's input along a cell.

        Returns:
            [..., h', w'], a view; ``maps`` itself where nothing was padded.
        """
        for axis, (resized, padded) in enumerate(zip(self.resized, self.padded)):
            if resized < padded:
                maps = maps.narrow(axis - 2, 0, min(-(-resized // stride), maps.shape[axis - 2]))
        return maps


class ClipMasks(Protocol):
    """Small masks of a clip that become full-size one frame at a time (see `masks.py`)."""

    @property
    def logits(self) -> torch.Tensor:
        """[N, T, h, w]."""

    @property
    def num_instances(self) -> int:
        """N."""

    @property
    def num_frames(self) -> int:
        """T."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the original frames."""

    def frame(self, index: int) -> torch.Tensor:
        """Binary masks [N, H, W] (bool) of one frame."""

    def maps(self) -> torch.Tensor:
        """Logits [N, T, h, w] over the whole frame, positive inside a mask, which may be added."""


@dataclass(frozen=True)
class ClipPrediction:
    """What a detector says of one clip.

    Args:
        queries: [N] int64, the query behind each instance; one may stand under several labels.
        labels: [N] int64 in 0..K-1.
        scores: [N] float in 0..1.
        class_scores: [N, K] float, the whole class vector of each instance's query.
        boxes: [N, T, 4] float, x1 y1 x2 y2 in pixels of the original frames.
        masks: the N instances in T frames.

    Raises:
        ValueError: a field whose shape does not fit the others.
    """

    queries: torch.Tensor
    labels: torch.Tensor
    scores: torch.Tensor
    class_scores: torch.Tensor
    boxes: torch.Tensor
    masks: ClipMasks

    def __post_init__(self) -> None:
        count, frames = self.masks.num_instances, self.masks.num_frames
        wanted = {
            'queries': (count,),
            'labels': (count,),
            'scores': (count,),
            'class_scores': (count, self.class_scores.shape[-1]),
            'boxes': (count, frames, 4),
        }
        for name, shape in wanted.items():
            _check_shape('ClipPrediction', name, tuple(getattr(self, name).shape), shape)


@dataclass(frozen=True)
class Tubes:
    """The true instances of a training clip, each in all frames.

    Args:
        labels: [N] int64 in 0..K-1.
        boxes: [T, N, 4] float, centre x y, width, height as shares of the image; out of sight
            they are next to nothing, see ``models/heads/clip_truths.py``.
        masks: [N, T, H, W] bool on the padded network input; empty out of sight.

    Raises:
        ValueError: a field whose shape does not fit the others.
    """

    labels: torch.Tensor
    boxes: torch.Tensor
    masks: torch.Tensor

    def __post_init__(self) -> None:
        count, frames = self.masks.shape[:2]
        _check_shape('Tubes', 'labels', tuple(self.labels.shape), (count,))
        _check_shape('Tubes', 'boxes', tuple(self.boxes.shape), (frames, count, 4))

    def __len__(self) -> int:
        return len(self.labels)


class ClipTruths(NamedTuple):
    """The G annotations of the frames of a training clip, frame after frame.

    ``on_host`` serves what is decided on the host, such as which query an annotation belongs to.
    """

    bboxes: torch.Tensor  # [G, 4] x1 y1 x2 y2 in pixels of the network input
    labels: torch.Tensor  # [G]
    masks: torch.Tensor  # [G, H, W] uint8, padded like the network input
    instances: torch.Tensor  # [G] numbers of the I instances of the clip
    num_frames: torch.Tensor  # [I] float, frames in which an instance is annotated
    per_frame: list[int]  # T numbers of annotations
    on_host: np.ndarray  # [G] ``instances``


class ClipSupervision(NamedTuple):
    """What training compared, for losses outside the detector. B clips."""

    losses: dict[str, torch.Tensor]
    padding: torch.Tensor  # [B, T, H, W] bool, True on pixels of no image
    maps: list[torch.Tensor]  # [B, T, C, H_l, W_l] encoded features, the finest first
    masks: list[torch.Tensor]  # B times [N, T, h, w] logits, of as many instances as in tubes
    tubes: Sequence[Tubes]  # B, in their own order


@dataclass(frozen=True)
class VideoInstances:
    """The instances of a whole video.

    Args:
        labels: [N] int64 in 0..K-1.
        scores: [N] float32 in 0..1.
        boxes: [N, T, 4] float32, x1 y1 x2 y2 in pixels of the original frames.
        segmentations: N lists of T masks; None where an instance has none in a frame.
        size: (H, W) of the frames.
        times: [T] seconds from the start of the video, where it has times.

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
        _check_shape('VideoInstances', 'labels', self.labels.shape, (count,))
        _check_shape('VideoInstances', 'scores', self.scores.shape, (count,))
        _check_shape('VideoInstances', 'boxes', self.boxes.shape, (count, self.num_frames, 4))
        check_finite(scores=self.scores, boxes=self.boxes)
        lengths = {len(track) for track in self.segmentations}
        if lengths - {self.num_frames}:
            raise ValueError(
                f'VideoInstances: every instance must have {self.num_frames} masks, '
                f'but got {sorted(lengths)}'
            )

    @property
    def num_frames(self) -> int:
        """T."""
        return int(self.boxes.shape[1])

    def __len__(self) -> int:
        return len(self.segmentations)

    def above(self, score_thr: float) -> VideoInstances:
        """The instances whose score is at least ``score_thr``, best first."""
        order = np.argsort(-self.scores, kind='stable')
        return self.take(order[self.scores[order] >= score_thr])

    def take(self, order: np.ndarray) -> VideoInstances:
        """The instances of these numbers, in this order."""
        return replace(
            self,
            labels=self.labels[order],
            scores=self.scores[order],
            boxes=self.boxes[order],
            segmentations=[self.segmentations[index] for index in order],
        )

    def in_frame(self, index: int, num_classes: int) -> FrameInstances:
        """Those of the instances that have a mask in a frame, as tracks with their places as
        numbers.

        Args:
            index: of the frame.
            num_classes: K.
        """
        shown = [n for n, track in enumerate(self.segmentations) if track[index] is not None]
        class_scores = np.zeros((len(shown), num_classes), np.float32)
        class_scores[np.arange(len(shown)), self.labels[shown]] = self.scores[shown]
        return FrameInstances(
            frame=index,
            tracks=shown,
            class_scores=class_scores,
            boxes=self.boxes[shown, index],
            masks=[rle for n in shown if (rle := self.segmentations[n][index]) is not None],
            size=self.size,
            time=None if self.times is None else float(self.times[index]),
        )


@dataclass(frozen=True)
class FrameInstances:
    """The tracks of a video in one of its frames.

    Args:
        frame: its number, from 0.
        tracks: [N] their numbers, from 0; a track keeps its number, and no other ever gets it.
        class_scores: [N, K] float32, means over the windows that held the track so far.
        boxes: [N, 4] float32, x1 y1 x2 y2 in pixels of the original frame.
        masks: N masks.
        size: (H, W) of the frame.
        time: of the frame in seconds from the start of the video, where it has times.

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
        _check_shape('FrameInstances', 'class_scores', self.class_scores.shape, (count, classes))
        _check_shape('FrameInstances', 'boxes', self.boxes.shape, (count, 4))
        _check_shape('FrameInstances', 'masks', (len(self.masks),), (count,))
        check_finite(scores=self.class_scores, boxes=self.boxes)

    def take(self, order: Sequence[int]) -> FrameInstances:
        """The tracks at these places, in this order."""
        places = np.asarray(order, np.int64)
        return replace(
            self,
            tracks=[self.tracks[n] for n in places],
            class_scores=self.class_scores[places],
            boxes=self.boxes[places],
            masks=[self.masks[n] for n in places],
        )

    def above(self, score_thr: float) -> tuple[list[int], VideoInstances]:
        """The tracks whose best class scores at least ``score_thr``, best first: their numbers,
        and they themselves as a video of this frame.
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


def _scale_of(meta: Mapping) -> tuple[float, float]:
    """(x, y) of mmdet's ``scale_factor``, which is one number where nothing was resized."""
    factors = np.ravel(meta.get('scale_factor', 1.0))
    factors = factors if len(factors) > 1 else np.tile(factors, 2)
    return float(factors[0]), float(factors[1])


def check_finite(**outputs: np.ndarray) -> None:
    """Check what a model says of instances.

    Args:
        outputs: by their names.

    Raises:
        InputError: one has a number that is NaN or infinite.
    """
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise InputError(
                f"{name} must be finite, but the model's are not: its weights diverged, or they "
                'need more than fp16 (amp=bf16 or none)'
            )


def _check_shape(owner: str, name: str, found: tuple, wanted: tuple) -> None:
    if tuple(found) != wanted:
        raise ValueError(f'{owner}: {name} must have shape {list(wanted)}, but got {list(found)}')
