"""Tracks by the soft IoU of masks in the frames that windows share.

Hwang et al., "Video Instance Segmentation using Inter-Frame Communication Transformers",
NeurIPS 2021, section 3.4.

Letters: N instances of a window, M tracks that may go on, T frames of a window, h and w cells.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tevit_vis.arrays import Array, as_float, sigmoid, to_numpy, zeros
from tevit_vis.structures import ClipPrediction, FrameInstances
from tevit_vis.utils.registry import TRACKERS
from tevit_vis.utils.values import check_fraction, check_whole_number

from .association import assign, cosine, soft_iou
from .track_store import TrackStore, instance_embeddings
from .tracker import TRACKER_KEY, Tracker


@dataclass(frozen=True)
class PastWindow:
    """A window that later windows are compared with."""

    frames: range
    tracks: list[int]  # N numbers
    probabilities: Array  # [N, T, h, w]


@TRACKERS.register_module()
class SoftIoUStitcher(Tracker):
    """Lets an instance continue the track whose masks it overlaps best.

    A frame is closed, its masks turned to RLE, as soon as no later window can cover it. The
    stitcher keeps the windows that the next one may share a frame with, and their tracks, so its
    memory does not grow with the video.

    With ``memory``, an instance that overlaps no track may continue one that has been out of sight,
    if their embeddings are alike.

    Args:
        min_iou: soft IoU above which an instance may continue a track, 0 to 1.
        min_score: mean probability above which a track is output under a class, 0 to 1.
        memory: number of frames for which a track may be out of sight; 0, as published, ends a
            track with its last frame.
        min_similarity: cosine of embeddings above which an instance may continue a track that was
            out of sight, 0 to 1.
    """

    def __init__(
        self, min_iou: float, min_score: float, memory: int = 0, min_similarity: float = 0.8
    ) -> None:
        super().__init__(min_score)
        self.min_iou = check_fraction(f'{TRACKER_KEY}.min_iou', min_iou)
        self.min_similarity = check_fraction(f'{TRACKER_KEY}.min_similarity', min_similarity)
        self.memory = check_whole_number(f'{TRACKER_KEY}.memory', memory, least=0)
        self.store = TrackStore(memory or None)
        self.past_windows: deque[PastWindow] = deque()

    def add(self, frames: range, prediction: ClipPrediction) -> list[int]:
        """Matches a window with the open tracks by soft IoU: see ``Tracker.add``."""
        logits = prediction.masks.maps()
        probabilities = sigmoid(as_float(logits))
        numbers = list(self.store.open)
        rows = assign(to_numpy(self.overlaps(frames, probabilities)), self.min_iou)
        tracks = [numbers[row] if row >= 0 else -1 for row in rows]
        embeddings = instance_embeddings(prediction, 'SoftIoUStitcher') if self.memory else None
        if embeddings is not None:
            tracks = self._recognise(tracks, frames, embeddings)
        tracks = [self.store.new_number() if number < 0 else number for number in tracks]
        self.store.extend(tracks, frames, prediction, logits)
        if embeddings is not None:
            for number, embedding in zip(tracks, embeddings):
                self.store.open[number].remember(embedding, fuses=True)
        self.past_windows.append(PastWindow(frames, tracks, probabilities))
        return tracks

    def _recognise(self, tracks: list[int], frames: range, embeddings: Array) -> list[int]:
        """Returns the tracks with those filled in that come back after they were out of sight."""
        lost = [n for n, track in self.store.open.items() if track.last_frame < frames.start]
        unmatched = [n for n, number in enumerate(tracks) if number < 0]
        if not lost or not unmatched:
            return tracks
        similarity = to_numpy(cosine(self.store.embeddings(lost), embeddings[unmatched]))
        tracks = list(tracks)
        for place, row in zip(unmatched, assign(similarity, self.min_similarity)):
            if row >= 0:
                tracks[place] = lost[row]
        return tracks

    def overlaps(self, frames: range, probabilities: Array) -> Array:
        """Returns the soft IoU [M, N] of the open tracks and a window's masks.

        Each past window with a track gives one IoU, over the frames that it shares with the new
        window; these are averaged. (There are at most T - 1 of them, fewer than the last T windows
        that IFC looks at.)

        Args:
            frames: frame numbers of the new window.
            probabilities: [N, T, h, w] of the masks of the new window.
        """
        row_of = {number: row for row, number in enumerate(self.store.open)}
        total = zeros((len(row_of), len(probabilities)), probabilities)
        num_windows = zeros((len(row_of), 1), probabilities)
        for window in self.past_windows:
            shared = range(frames.start, min(frames.stop, window.frames.stop))
            if not shared:
                continue
            offset = frames.start - window.frames.start
            past = window.probabilities[:, offset : offset + len(shared)]
            rows = [row_of[n] for n in window.tracks]
            total[rows] += soft_iou(past, probabilities[:, : len(shared)])
            num_windows[rows] += 1
        return total / num_windows.clip(min=1)

    def close(self, before: int | None = None) -> list[FrameInstances]:
        """Returns the frames that no later window can change: see ``Tracker.close``."""
        closed = self.store.close(before)
        while self.past_windows and self.past_windows[0].frames.stop <= self.store.num_closed:
            self.past_windows.popleft()
        return closed
