"""How each object of a video is followed, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .tracking_scores import FrameOverlaps, matched_pairs
from .tubes import GroundTruth, MaskTube, frame_overlaps, overlap_ratio


class VideoOverlaps(NamedTuple):
    """The tracks of a video, and how much they overlap in each frame."""

    frames: list[FrameOverlaps]  # T
    gts: list[MaskTube]  # G that are no crowd
    preds: list[MaskTube]  # P that score enough


@dataclass(frozen=True)
class Timeline:
    """How one object is followed.

    Args:
        entry: index of the ground truth in its file.
        matches: [T] index in the results file of the prediction that it is matched with in each
            frame, as id switches are counted; -1 for none.
        ious: [T] of its mask with the best mask of its class; 0 where it has no mask.
        switches: frames in which it goes on under another track than the last time.
        losses: frames in which it is seen but no longer followed.
    """

    entry: int
    matches: list[int]
    ious: list[float]
    switches: list[int]
    losses: list[int]


def track_overlaps(
    ground_truth: GroundTruth,
    predictions: Mapping[tuple[int, int], Sequence[MaskTube]],
    video: int,
    min_score: float,
) -> VideoOverlaps:
    """Returns how the tracks of a video overlap in each frame; those of two classes never do.

    Args:
        ground_truth: of ``parse_ground_truth``; crowds are left out.
        predictions: of ``parse_results``.
        video: id.
        min_score: least score of the predictions that count.
    """
    gts, preds, gt_classes, pred_classes = [], [], [], []
    for category in ground_truth.categories:
        own_gts = [t for t in ground_truth.tubes.get((video, category), ()) if not t.crowd]
        own_preds = [t for t in predictions.get((video, category), ()) if t.score >= min_score]
        gts += own_gts
        preds += own_preds
        gt_classes += [category] * len(own_gts)
        pred_classes += [category] * len(own_preds)
    intersections, unions = frame_overlaps(preds, gts)
    ious = overlap_ratio(intersections, unions)  # [T, P, G]
    ious = ious * (np.array(pred_classes)[:, None] == np.array(gt_classes)) if len(ious) else ious
    frames = []
    for t in range(ground_truth.lengths[video]):
        seen_gts = np.array([g for g, tube in enumerate(gts) if tube.areas[t]], int)
        seen_preds = np.array([p for p, tube in enumerate(preds) if tube.areas[t]], int)
        pairs = np.zeros((len(seen_gts), len(seen_preds)))
        if len(ious):
            pairs = ious[t][seen_preds[:, None], seen_gts].T
        frames.append(FrameOverlaps(seen_gts, seen_preds, pairs))
    return VideoOverlaps(frames, gts, preds)


def timelines(overlaps: VideoOverlaps) -> list[Timeline]:
    """Returns how each ground truth of a video is followed.

    Args:
        overlaps: of ``track_overlaps``.
    """
    frames, gts, preds = overlaps
    matches = np.full((len(gts), len(frames)), -1)
    ious = np.zeros((len(gts), len(frames)))
    switches: list[list[int]] = [[] for _ in gts]
    losses: list[list[int]] = [[] for _ in gts]
    was_followed = np.zeros(len(gts), bool)
    for t, (frame, (pairs, switched)) in enumerate(zip(frames, matched_pairs(frames, len(gts)))):
        ious[frame.gts, t] = frame.ious.max(1, initial=0)
        for g, p in (pairs or {}).items():
            matches[g, t] = preds[p].entry
        for g in switched:
            switches[g].append(t)
        is_followed = matches[:, t] >= 0
        for g in frame.gts:
            if was_followed[g] and not is_followed[g]:
                losses[g].append(t)
            was_followed[g] = is_followed[g]
    return [
        Timeline(gt.entry, matches[g].tolist(), ious[g].round(3).tolist(), switches[g], losses[g])
        for g, gt in enumerate(gts)
    ]
