"""Tracks that cover each other: several names for one object, of which people want to see one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tevit_vis.rle import mask_areas, overlap_shares
from tevit_vis.structures import RLE, FrameInstances, VideoInstances
from tevit_vis.utils.values import check_fraction

FORGOTTEN = 100  # frames after which a track that is out of sight is no longer compared


class PairOverlaps:
    """IoUs of pairs of tracks, summed over the frames in which both are seen.

    A pair counts where it is seen in at least half of the frames of the track that has fewer, so
    that tracks which merely cross do not.
    """

    def __init__(self) -> None:
        self.common: dict[tuple[int, int], np.ndarray] = {}  # intersection, union, frames
        self.num_frames: dict[int, int] = {}
        self.last_seen: dict[int, int] = {}

    def add(self, frame: int, tracks: Sequence[int], masks: Sequence[RLE]) -> None:
        """Add a frame.

        Args:
            frame: its number.
            tracks: numbers of those that are seen.
            masks: theirs.
        """
        areas = mask_areas(list(masks))
        seen = [n for n, area in enumerate(areas) if area]
        for n in seen:
            self.num_frames[tracks[n]] = self.num_frames.get(tracks[n], 0) + 1
            self.last_seen[tracks[n]] = frame
        chosen = [masks[n] for n in seen]
        common = overlap_shares(chosen, chosen) * areas[seen][:, None] if seen else np.zeros((0, 0))
        for row, first in enumerate(seen):
            for column, second in enumerate(seen[:row]):
                pair = _pair(tracks[first], tracks[second])
                both = common[row, column]
                union = areas[first] + areas[second] - both
                self.common[pair] = self.common.get(pair, np.zeros(3)) + (both, union, 1)
        self._forget(frame)

    def _forget(self, frame: int) -> None:
        gone = {track for track, last in self.last_seen.items() if frame - last > FORGOTTEN}
        if gone:
            self.common = {p: sums for p, sums in self.common.items() if not gone & set(p)}
            for track in gone:
                del self.last_seen[track], self.num_frames[track]

    def iou(self, first: int, second: int) -> float:
        """IoU of two tracks so far; 0 where they were not seen together long enough."""
        common, union, frames = self.common.get(_pair(first, second), (0.0, 1.0, 0.0))
        fewer = min(self.num_frames.get(first, 0), self.num_frames.get(second, 0))
        return float(common / union) if frames and 2 * frames >= fewer else 0.0


def _pair(first: int, second: int) -> tuple[int, int]:
    return (first, second) if first < second else (second, first)


class OverlapFilter:
    """Drops of two tracks that cover each other the one with the lower score, frame by frame.

    A choice stays while the two cover each other, so that drawings do not flicker.

    Args:
        max_overlap: IoU from which on two tracks are taken for one object.

    Raises:
        InputError: it is not from 0 to 1.
    """

    def __init__(self, max_overlap: float) -> None:
        self.max_overlap = check_fraction('max_overlap', max_overlap)
        self.overlaps = PairOverlaps()
        self.winners: dict[tuple[int, int], int] = {}

    def __call__(self, found: FrameInstances) -> FrameInstances:
        """The tracks of the next frame that are kept."""
        self.overlaps.add(found.frame, found.tracks, found.masks)
        scores = found.class_scores.max(1, initial=0)
        kept: list[int] = []
        for n in sorted(range(len(scores)), key=lambda n: (not self._won(n, found), -scores[n])):
            if not any(self._covers(found.tracks[m], found.tracks[n]) for m in kept):
                kept.append(n)
        known = self.overlaps.common
        self.winners = {pair: track for pair, track in self.winners.items() if pair in known}
        return found.take(sorted(kept))

    def _won(self, place: int, found: FrameInstances) -> bool:
        """Whether a track was kept instead of another one in this frame that it still covers."""
        track = found.tracks[place]
        return any(
            self.winners.get(_pair(track, other)) == track
            and self.overlaps.iou(track, other) > self.max_overlap
            for other in found.tracks
            if other != track
        )

    def _covers(self, kept: int, other: int) -> bool:
        """Whether a track that is kept covers another one."""
        pair = _pair(kept, other)
        if self.overlaps.iou(*pair) <= self.max_overlap:
            self.winners.pop(pair, None)
            return False
        self.winners[pair] = kept
        return True


def drop_overlaps(instances: VideoInstances, max_overlap: float) -> VideoInstances:
    """The instances of a video without those that a better one covers.

    Args:
        instances: of the whole video.
        max_overlap: IoU from which on two are taken for one object.

    Raises:
        InputError: it is not from 0 to 1.
    """
    check_fraction('max_overlap', max_overlap)
    overlaps = PairOverlaps()
    for masks in zip(*instances.segmentations):
        shown = {n: mask for n, mask in enumerate(masks) if mask is not None}
        overlaps.add(0, list(shown), list(shown.values()))  # always 0: no track is forgotten
    kept: list[int] = []
    for n in np.argsort(-instances.scores, kind='stable').tolist():
        if all(overlaps.iou(n, better) <= max_overlap for better in kept):
            kept.append(n)
    return instances.take(np.array(sorted(kept), np.int64))
