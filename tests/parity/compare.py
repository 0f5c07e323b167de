"""Differences of numbers, arrays and submissions."""

from __future__ import annotations

import numpy as np
from report import Report
from scipy.optimize import linear_sum_assignment

from tevit_vis.rle import decode_rle


def record(owner: object, name: str) -> list:
    """A list that fills with what a method returns."""
    method = getattr(owner, name)
    results: list = []

    def recorded(*args, **kwargs):
        results.append(method(*args, **kwargs))
        return results[-1]

    setattr(owner, name, recorded)
    return results


def relative(ours: float, theirs: float) -> float:
    """Difference relative to the official value; that of two zeros is 0."""
    return abs(ours - theirs) / max(abs(theirs), 1e-9)


def largest_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest absolute difference; infinite for shapes that differ."""
    if ours.shape != theirs.shape:
        return float('inf')
    return float(np.abs(ours.astype(np.float64) - theirs).max(initial=0.0))


def relative_to_largest(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference as a share of the largest official value; infinite for other shapes."""
    return largest_difference(ours, theirs) / max(float(np.abs(theirs).max(initial=0.0)), 1e-9)


def compare_results(
    report: Report,
    ours: list[dict],
    theirs: list[dict],
    scores: float,
    pixels: float,
    lost_iou: float,
) -> None:
    """The submission files as sets: entries pair up by video, category and best mask IoU.

    Args:
        ours, theirs: entries.
        scores: bound of the difference of scores.
        pixels: bound of the mask pixels of a video that differ.
        lost_iou: bound of 1 - IoU of the masks of an entry.
    """
    report.add('results.json: entries', abs(len(ours) - len(theirs)), 0)
    keys = {(entry['video_id'], entry['category_id']) for entry in ours + theirs}
    unpaired, worst_score, worst, nulls, lengths = 0, 0.0, 1.0, 0, 0
    differing = dict.fromkeys((key[0] for key in keys), 0)
    for key in keys:
        mine = [e for e in ours if (e['video_id'], e['category_id']) == key]
        official = [e for e in theirs if (e['video_id'], e['category_id']) == key]
        pairs = [compare_tracks(a, b) for a in mine for b in official]
        overlaps = np.array(pairs).reshape(len(mine), len(official), 2)
        rows, columns = linear_sum_assignment(-overlaps[..., 0])
        unpaired += len(mine) + len(official) - 2 * len(rows)
        for row, column in zip(rows, columns):
            difference = abs(mine[row]['score'] - official[column]['score'])
            worst_score = max(worst_score, difference)
            worst = min(worst, overlaps[row, column, 0])
            differing[key[0]] += overlaps[row, column, 1]
            tracks = mine[row]['segmentations'], official[column]['segmentations']
            lengths += len(tracks[0]) != len(tracks[1])
            nulls += sum((a is None) != (b is None) for a, b in zip(*tracks))
    report.add('results.json: entries in one only', unpaired, 0)
    report.add('results.json: score', worst_score, scores)
    report.add('results.json: mask pixels that differ', max(differing.values(), default=0), pixels)
    report.add('results.json: 1 - mask IoU', 1 - worst, lost_iou)
    report.add('results.json: null in one only', nulls, 0)
    report.add('results.json: tracks of another length', lengths, 0)


def compare_tracks(ours: dict, theirs: dict) -> tuple[float, int]:
    """IoU of two entries over all frames (1 when both are empty), and pixels that differ."""
    intersection = union = 0
    for a, b in zip(ours['segmentations'], theirs['segmentations']):
        masks = [decode_rle(rle) for rle in (a, b) if rle is not None]
        if len(masks) == 2:
            intersection += int((masks[0] & masks[1]).sum())
            union += int((masks[0] | masks[1]).sum())
        else:
            union += sum(int(mask.sum()) for mask in masks)
    return (intersection / union if union else 1.0), union - intersection
