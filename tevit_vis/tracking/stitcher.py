"""Instances of overlapping windows as tracks of the video.

Hwang et al., "Video Instance Segmentation using Inter-Frame Communication Transformers",
NeurIPS 2021, section 3.4.

Letters: N instances of a window, M tracks, T frames of a window, K classes, h and w cells.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from tevit_vis.masks import ResizedMasks, encode_masks
from tevit_vis.structures import RLE, VideoInstances

from .windows import Windows

TINY = 1e-6  # keeps the IoU of two empty masks at 0


@dataclass
class Track:
    """One instance of the video."""

    class_sum: torch.Tensor  # [K]
    num_windows: int = 0
    open_frames: dict[int, tuple[torch.Tensor, torch.Tensor, int]] = field(default_factory=dict)
    masks: dict[int, RLE] = field(default_factory=dict)
    boxes: dict[int, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class SeenWindow:
    """What later windows are compared with."""

    frames: range
    tracks: torch.Tensor  # [N]
    probabilities: torch.Tensor  # [N, T, h, w]


class Stitcher:
    """Takes the windows of a video in order.

    A frame is closed, its masks turned to RLE, as soon as no later window can cover it: what is
    held is the open frames of the tracks seen in them, and an RLE per track and closed frame.

    Args:
        windows: whose thresholds count.
        size: (H, W) of the original frames.
    """

    def __init__(self, windows: Windows, size: tuple[int, int]) -> None:
        self.windows = windows
        self.size = size
        self.tracks: list[Track] = []
        self.seen: deque[SeenWindow] = deque()
        self.num_frames = 0

    def add(
        self,
        frames: range,
        class_scores: torch.Tensor,
        boxes: torch.Tensor,
        logits: torch.Tensor,
    ) -> list[int]:
        """Match a window's instances with the tracks.

        Args:
            frames: of the window, starting no earlier than the one before.
            class_scores: [N, K].
            boxes: [N, T, 4], x1 y1 x2 y2 in pixels of the original frames.
            logits: [N, T, h, w].

        Returns:
            The track of each instance.
        """
        self._close(frames.start)
        probabilities = logits.float().sigmoid()
        numbers = self._match(self.overlaps(frames, probabilities))
        for number, scores, track_boxes, masks in zip(numbers, class_scores, boxes, logits):
            if number == len(self.tracks):
                self.tracks.append(Track(torch.zeros_like(scores)))
            self._extend(self.tracks[number], frames, scores, track_boxes, masks)
        self.seen.append(SeenWindow(frames, torch.tensor(numbers, dtype=torch.long), probabilities))
        self.num_frames = max(self.num_frames, frames.stop)
        return numbers

    def overlaps(self, frames: range, probabilities: torch.Tensor) -> torch.Tensor:
        """Soft IoU [M, N] of the tracks and a window's masks [N, T, h, w].

        Each of the last T windows that hold a track gives one IoU, over the frames that it shares
        with this one; these are averaged.
        """
        total = probabilities.new_zeros(len(self.tracks), len(probabilities))
        windows = probabilities.new_zeros(len(self.tracks), 1)
        for window in list(self.seen)[-len(frames) :]:
            shared = range(frames.start, min(frames.stop, window.frames.stop))
            if not shared:
                continue
            offset = frames.start - window.frames.start
            before = window.probabilities[:, offset : offset + len(shared)]
            here = probabilities[:, : len(shared)]
            common = torch.einsum('mthw,nthw->mn', before, here)
            union = before.sum(dim=(1, 2, 3))[:, None] + here.sum(dim=(1, 2, 3)) - common
            total[window.tracks] += common / (union + TINY)
            windows[window.tracks] += 1
        return total / windows.clamp(min=1)

    def _match(self, overlaps: torch.Tensor) -> list[int]:
        """The track of each instance, new ones after the last, for soft IoU [M, N]."""
        allowed = torch.where(overlaps > self.windows.min_iou, overlaps, torch.zeros_like(overlaps))
        rows, columns = linear_sum_assignment(allowed.cpu().numpy(), maximize=True)
        numbers = [-1] * overlaps.shape[1]
        for row, column in zip(rows.tolist(), columns.tolist()):
            if allowed[row, column] > 0:
                numbers[column] = row
        following = len(self.tracks)
        for column, number in enumerate(numbers):
            if number < 0:
                numbers[column], following = following, following + 1
        return numbers

    def _extend(
        self,
        track: Track,
        frames: range,
        scores: torch.Tensor,
        boxes: torch.Tensor,
        logits: torch.Tensor,
    ) -> None:
        track.class_sum += scores
        track.num_windows += 1
        for frame, box, mask in zip(frames, boxes, logits):
            box_sum, mask_sum, count = track.open_frames.get(frame, (0.0, 0.0, 0))
            track.open_frames[frame] = (box_sum + box, mask_sum + mask.float(), count + 1)

    def _close(self, before: int) -> None:
        """Turn the masks of all frames before this one to RLE."""
        while self.seen and self.seen[0].frames.stop <= before:
            self.seen.popleft()
        frames = sorted({f for track in self.tracks for f in track.open_frames if f < before})
        for frame in frames:
            there = [track for track in self.tracks if frame in track.open_frames]
            sums = [track.open_frames.pop(frame) for track in there]
            means = torch.stack([mask / count for _, mask, count in sums])
            masks = encode_masks(ResizedMasks(means[:, None], self.size).frame(0))
            for track, mask, (box, _, count) in zip(there, masks, sums):
                track.masks[frame] = mask
                track.boxes[frame] = box / count

    def finish(self) -> VideoInstances:
        """Every (track, class) whose mean probability is above ``min_score``.

        Frames in which a track was never seen have an empty mask and a box of zeros.
        """
        self._close(self.num_frames)
        empty = encode_masks(torch.zeros(1, *self.size, dtype=torch.bool))[0]
        no_box = torch.zeros(4)
        labels, scores, boxes, segmentations = [], [], [], []
        for track in self.tracks:
            means = track.class_sum / track.num_windows
            masks: list[RLE | None] = [track.masks.get(f, empty) for f in range(self.num_frames)]
            track_boxes = [track.boxes.get(f, no_box).cpu() for f in range(self.num_frames)]
            for label in (means > self.windows.min_score).nonzero()[:, 0].tolist():
                labels.append(label)
                scores.append(float(means[label]))
                boxes.append(torch.stack(track_boxes).numpy())
                segmentations.append(masks)
        return VideoInstances(
            labels=np.array(labels, np.int64),
            scores=np.array(scores, np.float32),
            boxes=np.array(boxes, np.float32).reshape(-1, self.num_frames, 4),
            segmentations=segmentations,
            size=self.size,
        )
