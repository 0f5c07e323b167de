"""Drops tracks that cover each other, since they are duplicates of one object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tevit_vis.rle import mask_areas, overlap_fractions
from tevit_vis.structures import RLE, FrameInstances, VideoInstances
from tevit_vis.utils.values import check_fraction

MAX_FRAMES_UNSEEN = 100  # frames without a track after which it is no longer compared


class PairOverlaps:
    """Sums the overlaps of each pair of tracks over the frames in which both are visible.

    A pair has an IoU above 0 only if both tracks are visible in at least half of the frames of the
    shorter one. So tracks that merely cross do not count.
    """

    def __init__(self) -> None:
        self.sums: dict[tuple[int, int], np.ndarray] = {}  # sums of intersection, union, frames
        self.num_frames: dict[int, int] = {}
        self.last_seen: dict[int, int] = {}

    def add(self, frame: int, tracks: Sequence[int], masks: Sequence[RLE]) -> None:
        """Adds a frame.

        Args:
            frame: number of the frame.
            tracks: numbers of the tracks in the frame.
            masks: one mask for each of these tracks; it may be empty.
        """
        areas = mask_areas(list(masks))
        visible = [n for n, area in enumerate(areas) if area]
        for n in visible:
            self.num_frames[tracks[n]] = self.num_frames.get(tracks[n], 0) + 1
            self.last_seen[tracks[n]] = frame
        visible_masks = [masks[n] for n in visible]
        if not visible:
            intersections = np.zeros((0, 0))
        else:
            fractions = overlap_fractions(visible_masks, visible_masks)
            intersections = fractions * areas[visible][:, None]
        for row, first in enumerate(visible):
            for column, second in enumerate(visible[:row]):
                pair = _pair(tracks[first], tracks[second])
                intersection = intersections[row, column]
                union = areas[first] + areas[second] - intersection
                self.sums[pair] = self.sums.get(pair, np.zeros(3)) + (intersection, union, 1)
        self._forget(frame)

    def _forget(self, frame: int) -> None:
        """Removes the sums of tracks that were not visible for a long time."""
        forgotten = {
            track for track, last in self.last_seen.items() if frame - last > MAX_FRAMES_UNSEEN
        }
        if forgotten:
            self.sums = {p: sums for p, sums in self.sums.items() if not forgotten & set(p)}
            for track in forgotten:
                del self.last_seen[track], self.num_frames[track]

    def iou(self, first: int, second: int) -> float:
        """Returns the IoU of two tracks so far; 0 if too few frames show both of them."""
        intersection, union, frames = self.sums.get(_pair(first, second), (0.0, 1.0, 0.0))
        fewer = min(self.num_frames.get(first, 0), self.num_frames.get(second, 0))
        return float(intersection / union) if frames and 2 * frames >= fewer else 0.0


def _pair(first: int, second: int) -> tuple[int, int]:
    return (first, second) if first < second else (second, first)


class OverlapFilter:
    """Drops the lower-scored of two tracks that cover each other, frame by frame.

    The choice stays as long as the two cover each other, so that drawings do not flicker.

    Args:
        max_overlap: IoU above which two tracks are taken for one object.

    Raises:
        InputError: it is not from 0 to 1.
    """

    def __init__(self, max_overlap: float) -> None:
        self.max_overlap = check_fraction('max_overlap', max_overlap)
        self.overlaps = PairOverlaps()
        self.winners: dict[tuple[int, int], int] = {}

    def __call__(self, instances: FrameInstances) -> FrameInstances:
        """Returns the tracks of the next frame that are kept."""
        self.overlaps.add(instances.frame, instances.tracks, instances.masks)
        scores = instances.class_scores.max(1, initial=0)
        kept: list[int] = []
        for n in sorted(
            range(len(scores)), key=lambda n: (not self._won(n, instances), -scores[n])
        ):
            if not any(self._covers(instances.tracks[m], instances.tracks[n]) for m in kept):
                kept.append(n)
        pairs = self.overlaps.sums
        self.winners = {pair: track for pair, track in self.winners.items() if pair in pairs}
        return instances.select(sorted(kept))

    def _won(self, index: int, instances: FrameInstances) -> bool:
        """Whether a track was preferred to another one of this frame, which it still covers."""
        track = instances.tracks[index]
        return any(
            self.winners.get(_pair(track, other)) == track
            and self.overlaps.iou(track, other) > self.max_overlap
            for other in instances.tracks
            if other != track
        )

    def _covers(self, kept: int, other: int) -> bool:
        """Whether a kept track covers another one; notes the kept one as the winner if so."""
        pair = _pair(kept, other)
        if self.overlaps.iou(*pair) <= self.max_overlap:
            self.winners.pop(pair, None)
            return False
        self.winners[pair] = kept
        return True


def drop_overlaps(instances: VideoInstances, max_overlap: float) -> VideoInstances:
    """Returns the instances of a video without those that a better-scored one covers.

    Args:
        instances: instances of the whole video.
        max_overlap: IoU above which two instances are taken for one object.

    Raises:
        InputError: it is not from 0 to 1.

    Example:
        >>> mask = {'size': [2, 2], 'counts': '04'}
        >>> twice = VideoInstances(
        ...     labels=np.array([3, 5]),
        ...     scores=np.array([0.4, 0.9]),
        ...     boxes=np.zeros((2, 1, 4)),
        ...     segmentations=[[mask], [mask]],
        ...     size=(2, 2),
        ... )
        >>> drop_overlaps(twice, max_overlap=0.7).labels.tolist()
        [5]
    """
    check_fraction('max_overlap', max_overlap)
    overlaps = PairOverlaps()
    for masks in zip(*instances.segmentations):
        masks_by_track = {n: mask for n, mask in enumerate(masks) if mask is not None}
        # Always as frame 0, so that no track is forgotten.
        overlaps.add(0, list(masks_by_track), list(masks_by_track.values()))
    kept: list[int] = []
    for n in np.argsort(-instances.scores, kind='stable').tolist():
        if all(overlaps.iou(n, better) <= max_overlap for better in kept):
            kept.append(n)
    return instances.select(np.array(sorted(kept), np.int64))
