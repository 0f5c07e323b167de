"""Builds tracks by the soft IoU of masks in the frames that windows share.

Hwang et al., "Video Instance Segmentation using Inter-Frame Communication Transformers",
NeurIPS 2021, section 3.4.

Letters: N instances of a window, M tracks that may go on, T frames of a window, K classes,
h and w cells.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from tevit_vis.masks import ResizedMasks, num_masks_at_once
from tevit_vis.rle import encode_masks
from tevit_vis.structures import RLE, ClipPrediction, FrameInstances, check_outputs_finite
from tevit_vis.utils.registry import TRACKERS
from tevit_vis.utils.values import check_fraction

from .tracker import TRACKER_KEY, Tracker

EPSILON = 1e-6  # keeps the IoU of two empty masks at 0
HALF = 0.5  # probability above which a pixel belongs to a mask; its logit is 0


@dataclass
class OpenTrack:
    """One instance of the video, in frames that later windows may cover."""

    class_sum: torch.Tensor  # [K]
    num_windows: int = 0
    # By frame: the sum of its boxes [4], of its mask logits [h, w], and the number of windows.
    frames: dict[int, tuple[torch.Tensor, torch.Tensor, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class PastWindow:
    """A window that later windows are compared with."""

    frames: range
    tracks: list[int]  # N numbers
    probabilities: torch.Tensor  # [N, T, h, w]


@TRACKERS.register_module()
class SoftIoUStitcher(Tracker):
    """Lets an instance continue the track whose masks it overlaps best.

    A frame is closed, its masks turned to RLE, as soon as no later window can cover it, and a
    track ends with its last frame. The stitcher keeps the windows that the next one may share a
    frame with, and their tracks, so its memory does not grow with the video.

    Args:
        min_iou: soft IoU above which an instance may continue a track, 0 to 1.
        min_score: mean probability above which a track is output under a class, 0 to 1.
    """

    def __init__(self, min_iou: float, min_score: float) -> None:
        super().__init__(min_score)
        self.min_iou = check_fraction(f'{TRACKER_KEY}.min_iou', min_iou)
        self.open_tracks: dict[int, OpenTrack] = {}  # by track number
        self.num_tracks = 0  # since the start of the video
        self.past_windows: deque[PastWindow] = deque()
        self.num_frames = 0  # frames that windows have covered
        self.num_closed = 0  # closed frames, which are the first ones
        self.size = (0, 0)  # (H, W) of the original frames
        self.cells: tuple[float, float] | None = None  # (y, x) cells of a map that a frame covers

    def add(self, frames: range, prediction: ClipPrediction) -> list[int]:
        """Matches a window with the open tracks by soft IoU: see ``Tracker.add``."""
        masks = prediction.masks
        self.size, self.cells = masks.size, masks.cells
        logits = masks.maps()
        probabilities = logits.float().sigmoid()
        tracks = self._match(self.overlaps(frames, probabilities))
        for number, scores, boxes, track_logits in zip(
            tracks, prediction.class_scores, prediction.boxes, logits
        ):
            track = self.open_tracks.setdefault(number, OpenTrack(torch.zeros_like(scores)))
            _extend(track, frames, scores, boxes, track_logits)
        self.past_windows.append(PastWindow(frames, tracks, probabilities))
        self.num_frames = max(self.num_frames, frames.stop)
        return tracks

    def overlaps(self, frames: range, probabilities: torch.Tensor) -> torch.Tensor:
        """Returns the soft IoU [M, N] of the open tracks and a window's masks.

        Each past window with a track gives one IoU, over the frames that it shares with the new
        window; these are averaged. (There are at most T - 1 of them, fewer than the last T windows
        that IFC looks at.)

        Args:
            frames: frame numbers of the new window.
            probabilities: [N, T, h, w] of the masks of the new window.
        """
        row_of = {number: row for row, number in enumerate(self.open_tracks)}
        total = probabilities.new_zeros(len(row_of), len(probabilities))
        num_windows = probabilities.new_zeros(len(row_of), 1)
        for window in self.past_windows:
            shared = range(frames.start, min(frames.stop, window.frames.stop))
            if not shared:
                continue
            offset = frames.start - window.frames.start
            past = window.probabilities[:, offset : offset + len(shared)]
            new = probabilities[:, : len(shared)]
            intersection = torch.einsum('mthw,nthw->mn', past, new)
            union = past.sum(dim=(1, 2, 3))[:, None] + new.sum(dim=(1, 2, 3)) - intersection
            rows = torch.tensor([row_of[n] for n in window.tracks], dtype=torch.long)
            total[rows] += intersection / (union + EPSILON)
            num_windows[rows] += 1
        return total / num_windows.clamp(min=1)

    def _match(self, overlaps: torch.Tensor) -> list[int]:
        """Returns the track number of each instance, matched by the best sum of soft IoUs [M, N].

        An instance without a match gets the next new number.
        """
        values = overlaps.cpu().numpy()
        allowed = np.where(values > self.min_iou, values, 0)
        rows, columns = linear_sum_assignment(allowed, maximize=True)
        open_numbers = list(self.open_tracks)
        numbers = [-1] * overlaps.shape[1]
        for row, column in zip(rows.tolist(), columns.tolist()):
            if allowed[row, column] > 0:
                numbers[column] = open_numbers[row]
        for column, number in enumerate(numbers):
            if number < 0:
                numbers[column] = self.num_tracks
                self.num_tracks += 1
        return numbers

    def close(self, before: int | None = None) -> list[FrameInstances]:
        """Returns the frames that no later window can change: see ``Tracker.close``."""
        stop = self.num_frames if before is None else min(before, self.num_frames)
        closed = self._closed_frames(range(self.num_closed, stop))
        self.num_closed = max(self.num_closed, stop)
        while self.past_windows and self.past_windows[0].frames.stop <= stop:
            self.past_windows.popleft()
        self.open_tracks = {
            number: track for number, track in self.open_tracks.items() if track.frames
        }
        return closed

    def _closed_frames(self, frames: range) -> list[FrameInstances]:
        """Returns the instances in these frames and removes them from the open tracks.

        Scores and boxes of all these frames are copied from the device at once.
        """
        tracks_of_frames: list[list[int]] = []
        scores, boxes, logits = [], [], []
        for frame in frames:
            tracks_in_frame = {
                n: track for n, track in self.open_tracks.items() if frame in track.frames
            }
            tracks_of_frames.append(list(tracks_in_frame))
            for track in tracks_in_frame.values():
                box, mask, count = track.frames.pop(frame)
                # The sum of the mask logits goes along: it is finite only if all of them are.
                mean_scores = track.class_sum / track.num_windows
                scores.append(torch.cat([mean_scores.float(), mask.sum()[None]]))
                boxes.append(box / count)
                logits.append(mask / count)
        masks = self._encode(logits)
        all_scores, all_boxes = _rows(scores, 1), _rows(boxes, 4)
        check_outputs_finite(masks=all_scores[:, -1])
        all_scores = all_scores[:, :-1]
        ends = np.cumsum([0, *map(len, tracks_of_frames)]).tolist()
        return [
            FrameInstances(
                frame=frame,
                tracks=tracks,
                class_scores=all_scores[first:last],
                boxes=all_boxes[first:last],
                masks=masks[first:last],
                size=self.size,
            )
            for frame, tracks, first, last in zip(frames, tracks_of_frames, ends, ends[1:])
        ]

    def _encode(self, logits: list[torch.Tensor]) -> list[RLE]:
        """Returns the masks of logit maps [h, w], a few of them at full size at a time."""
        masks: list[RLE] = []
        at_once = num_masks_at_once(logits[0].device, self.size) if logits else 1
        for start in range(0, len(logits), at_once):
            maps = torch.stack(logits[start : start + at_once])[:, None]
            masks += encode_masks(ResizedMasks(maps, self.size, HALF, self.cells).frame(0))
        return masks


def _extend(
    track: OpenTrack, frames: range, scores: torch.Tensor, boxes: torch.Tensor, logits: torch.Tensor
) -> None:
    """Adds an instance of a window to the sums of its track."""
    track.class_sum += scores
    track.num_windows += 1
    for frame, box, mask in zip(frames, boxes, logits):
        box_sum, mask_sum, count = track.frames.get(frame, (0.0, 0.0, 0))
        track.frames[frame] = (box_sum + box, mask_sum + mask.float(), count + 1)


def _rows(rows: list[torch.Tensor], num_columns: int) -> np.ndarray:
    """Returns rows as an array [n, num_columns], also where there are none."""
    if not rows:
        return np.zeros((0, num_columns), np.float32)
    return torch.stack(rows).float().cpu().numpy()
