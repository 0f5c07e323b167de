"""Instances of overlapping windows as tracks of the video.

Hwang et al., "Video Instance Segmentation using Inter-Frame Communication Transformers",
NeurIPS 2021, section 3.4.

Letters: N instances of a window, M tracks that may go on, T frames of a window, K classes,
h and w cells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from tevit_vis.masks import ResizedMasks, masks_at_once
from tevit_vis.rle import encode_masks
from tevit_vis.structures import RLE, FrameInstances, VideoInstances, check_finite

from .windows import Windows

TINY = 1e-6  # keeps the IoU of two empty masks at 0


@dataclass
class Track:
    """One instance of the video, in frames that later windows may cover."""

    class_sum: torch.Tensor  # [K]
    num_windows: int = 0
    # Sums of boxes [4] and mask logits [h, w], and of how many windows, by frame.
    frames: dict[int, tuple[torch.Tensor, torch.Tensor, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class SeenWindow:
    """What later windows are compared with."""

    frames: range
    tracks: list[int]  # N numbers
    probabilities: torch.Tensor  # [N, T, h, w]


class Stitcher:
    """Takes the windows of a video in order, gives back its frames.

    A frame is closed, its masks turned to RLE, as soon as no later window can cover it, and a
    track ends with its last frame. What is held is the windows that the next one may share a
    frame with, and their tracks: it does not grow with the video.

    Args:
        windows: whose thresholds count.
        size: (H, W) of the original frames.
        cells: (y, x) of the maps that a frame covers, see ``masks.ResizedMasks``.
    """

    def __init__(
        self,
        windows: Windows,
        size: tuple[int, int],
        cells: tuple[float, float] | None = None,
    ) -> None:
        self.windows = windows
        self.size = size
        self.cells = cells
        self.open: dict[int, Track] = {}  # by number
        self.num_tracks = 0  # that there ever were
        self.seen: deque[SeenWindow] = deque()
        self.num_frames = 0  # that windows have covered
        self.num_closed = 0  # from the first one on

    def add(
        self,
        frames: range,
        class_scores: torch.Tensor,
        boxes: torch.Tensor,
        logits: torch.Tensor,
    ) -> list[int]:
        """Match a window's instances with the tracks.

        Args:
            frames: of the window, none of them closed.
            class_scores: [N, K].
            boxes: [N, T, 4], x1 y1 x2 y2 in pixels of the original frames.
            logits: [N, T, h, w].

        Returns:
            The track of each instance.
        """
        probabilities = logits.float().sigmoid()
        numbers = self._match(self.overlaps(frames, probabilities))
        for number, scores, track_boxes, masks in zip(numbers, class_scores, boxes, logits):
            track = self.open.setdefault(number, Track(torch.zeros_like(scores)))
            _extend(track, frames, scores, track_boxes, masks)
        self.seen.append(SeenWindow(frames, numbers, probabilities))
        self.num_frames = max(self.num_frames, frames.stop)
        return numbers

    def overlaps(self, frames: range, probabilities: torch.Tensor) -> torch.Tensor:
        """Soft IoU [M, N] of the open tracks and a window's masks [N, T, h, w].

        Each window that holds a track gives one IoU, over the frames that it shares with this one;
        these are averaged. (At most T - 1 windows do, fewer than the last T that IFC looks at.)
        """
        row = {number: index for index, number in enumerate(self.open)}
        total = probabilities.new_zeros(len(row), len(probabilities))
        windows = probabilities.new_zeros(len(row), 1)
        for window in self.seen:
            shared = range(frames.start, min(frames.stop, window.frames.stop))
            if not shared:
                continue
            offset = frames.start - window.frames.start
            before = window.probabilities[:, offset : offset + len(shared)]
            here = probabilities[:, : len(shared)]
            common = torch.einsum('mthw,nthw->mn', before, here)
            union = before.sum(dim=(1, 2, 3))[:, None] + here.sum(dim=(1, 2, 3)) - common
            held = torch.tensor([row[n] for n in window.tracks], dtype=torch.long)
            total[held] += common / (union + TINY)
            windows[held] += 1
        return total / windows.clamp(min=1)

    def _match(self, overlaps: torch.Tensor) -> list[int]:
        """The track of each instance, new ones after the last, for soft IoU [M, N]."""
        values = overlaps.cpu().numpy()
        allowed = np.where(values > self.windows.min_iou, values, 0)
        rows, columns = linear_sum_assignment(allowed, maximize=True)
        open_tracks = list(self.open)
        numbers = [-1] * overlaps.shape[1]
        for row, column in zip(rows.tolist(), columns.tolist()):
            if allowed[row, column] > 0:
                numbers[column] = open_tracks[row]
        for column, number in enumerate(numbers):
            if number < 0:
                numbers[column] = self.num_tracks
                self.num_tracks += 1
        return numbers

    def close(self, before: int | None = None) -> list[FrameInstances]:
        """The frames before this one that were not closed yet; without a number, all.

        Args:
            before: the first frame of the next window.
        """
        stop = self.num_frames if before is None else min(before, self.num_frames)
        closed = self._closed_frames(range(self.num_closed, stop))
        self.num_closed = max(self.num_closed, stop)
        while self.seen and self.seen[0].frames.stop <= stop:
            self.seen.popleft()
        self.open = {number: track for number, track in self.open.items() if track.frames}
        return closed

    def _closed_frames(self, frames: range) -> list[FrameInstances]:
        """The tracks in these frames, which they leave. The device is asked for all at once."""
        numbers: list[list[int]] = []
        scores, boxes, logits = [], [], []
        for frame in frames:
            there = {n: track for n, track in self.open.items() if frame in track.frames}
            numbers.append(list(there))
            for track in there.values():
                box, mask, count = track.frames.pop(frame)
                # With the sum of its logits, which is not finite where one of them is not.
                means = track.class_sum / track.num_windows
                scores.append(torch.cat([means.float(), mask.sum()[None]]))
                boxes.append(box / count)
                logits.append(mask / count)
        masks = self._encode(logits)
        all_scores, all_boxes = _rows(scores, 1), _rows(boxes, 4)
        check_finite(masks=all_scores[:, -1])
        all_scores = all_scores[:, :-1]
        ends = np.cumsum([0, *map(len, numbers)]).tolist()
        return [
            FrameInstances(
                frame=frame,
                tracks=tracks,
                class_scores=all_scores[first:last],
                boxes=all_boxes[first:last],
                masks=masks[first:last],
                size=self.size,
            )
            for frame, tracks, first, last in zip(frames, numbers, ends, ends[1:])
        ]

    def _encode(self, logits: list[torch.Tensor]) -> list[RLE]:
        """The masks of maps [h, w], a few at full size at a time."""
        masks: list[RLE] = []
        at_once = masks_at_once(logits[0].device, self.size) if logits else 1
        for start in range(0, len(logits), at_once):
            maps = torch.stack(logits[start : start + at_once])[:, None]
            masks += encode_masks(ResizedMasks(maps, self.size, self.cells).frame(0))
        return masks


def _extend(
    track: Track, frames: range, scores: torch.Tensor, boxes: torch.Tensor, logits: torch.Tensor
) -> None:
    track.class_sum += scores
    track.num_windows += 1
    for frame, box, mask in zip(frames, boxes, logits):
        box_sum, mask_sum, count = track.frames.get(frame, (0.0, 0.0, 0))
        track.frames[frame] = (box_sum + box, mask_sum + mask.float(), count + 1)


def _rows(rows: list[torch.Tensor], width: int = 0) -> np.ndarray:
    """Rows as an array, of so many columns where there are none."""
    if not rows:
        return np.zeros((0, width), np.float32)
    return torch.stack(rows).float().cpu().numpy()


def join_frames(frames: Iterable[FrameInstances], min_score: float) -> VideoInstances:
    """Every (track, class) of a video whose mean probability is above ``min_score``.

    Frames in which a track was never seen have an empty mask and a box of zeros.

    Args:
        frames: at least one.
        min_score: 0 to 1.
    """
    found: dict[int, dict[int, tuple[np.ndarray, RLE]]] = {}  # by track, then frame
    means: dict[int, np.ndarray] = {}
    for closed in frames:
        for number, scores, box, mask in zip(
            closed.tracks, closed.class_scores, closed.boxes, closed.masks
        ):
            found.setdefault(number, {})[closed.frame] = box, mask
            means[number] = scores  # those of its last frame are of all its windows
    size, num_frames = closed.size, closed.frame + 1
    empty = encode_masks(torch.zeros(1, *size, dtype=torch.bool))[0]
    labels, scores, boxes, segmentations = [], [], [], []
    for number in sorted(found):
        wanted = np.flatnonzero(means[number] > min_score)
        if not len(wanted):
            continue
        track = [found[number].get(t, (np.zeros(4), empty)) for t in range(num_frames)]
        for label in wanted:
            labels.append(label)
            scores.append(means[number][label])
            boxes.append(np.stack([box for box, _ in track]))
            segmentations.append([mask for _, mask in track])
    return VideoInstances(
        labels=np.array(labels, np.int64),
        scores=np.array(scores, np.float32),
        boxes=np.array(boxes, np.float32).reshape(-1, num_frames, 4),
        segmentations=segmentations,
        size=size,
    )
