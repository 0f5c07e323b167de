"""Finds what is wrong with each prediction of a submission (see ``tube_errors.py``).

Letters: T frames, D predictions and G ground truths of one video, in all categories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .scores import MAX_PREDICTIONS
from .tube_errors import (
    IGNORED,
    MADE_RIGHT,
    RIGHT,
    GroundTruthOutcome,
    PredictionOutcome,
    TubeErrors,
)
from .tubes import GroundTruth, MaskTube, frame_overlaps, overlap_ratio

FOREGROUND = 0.5  # IoU from which on a prediction has found a ground truth
BACKGROUND = 0.1  # IoU below which it has nothing to do with it


def find_errors(
    ground_truth: GroundTruth, predictions: Mapping[tuple[int, int], Sequence[MaskTube]]
) -> TubeErrors:
    """Finds what became of each prediction and of each ground truth.

    Predictions are matched as in the metric at IoU 0.5. A prediction that found nothing is tried
    for each kind of error, the one that needs the smallest repair first: it has the right class and
    an IoU of at least 0.1 with a free ground truth (``Spat``, ``Temp``), or an IoU of at least 0.5
    with a free one of another class (``Cls``) or with one of its class that was found before
    (``Dup``), or an IoU of at least 0.1 with one of its class that was found before (``Spat``,
    ``Temp``), or an IoU below 0.1 with all (``Bkg``); else it is ``Both``. Better predictions come
    first, and prefer an object that no other one is about.

    Args:
        ground_truth: of ``parse_ground_truth``.
        predictions: of ``parse_results``.
    """
    pred_outcomes: list[PredictionOutcome] = []
    gt_outcomes: list[GroundTruthOutcome] = []
    for video in sorted(ground_truth.lengths):
        preds = [
            (category, tube)
            for category in ground_truth.categories
            for tube in sorted(
                predictions.get((video, category), ()), key=lambda tube: -tube.score
            )[: MAX_PREDICTIONS[-1]]
        ]
        gts = [
            (category, tube)
            for category in ground_truth.categories
            for tube in ground_truth.tubes.get((video, category), ())
        ]
        found, accounted = _outcomes_of_video(video, preds, gts)
        pred_outcomes += found
        gt_outcomes += accounted
    present = {pred.category for pred in pred_outcomes} | {gt.category for gt in gt_outcomes}
    categories = [category for category in ground_truth.categories if category in present]
    return TubeErrors(categories, pred_outcomes, gt_outcomes)


def _outcomes_of_video(
    video: int,
    preds: Sequence[tuple[int, MaskTube]],
    gts: Sequence[tuple[int, MaskTube]],
) -> tuple[list[PredictionOutcome], list[GroundTruthOutcome]]:
    """Returns what became of the predictions and ground truths of one video."""
    intersections, unions = frame_overlaps([tube for _, tube in preds], [tube for _, tube in gts])
    ious = overlap_ratio(intersections.sum(0), unions.sum(0))  # [D, G]
    shared = (intersections + unions > 0) & _both_have_masks(preds, gts)
    frame_ious = overlap_ratio(intersections, unions)
    shared_ious = overlap_ratio((frame_ious * shared).sum(0), shared.sum(0).astype(float))
    same = np.array([[p == g for g, _ in gts] for p, _ in preds], bool).reshape(ious.shape)
    is_crowd = np.array([tube.crowd for _, tube in gts], bool)
    gt_of_pred = match_greedily([tube.score for _, tube in preds], ious * same, is_crowd)
    is_free = ~is_crowd
    is_free[gt_of_pred[gt_of_pred >= 0]] = False

    pred_outcomes = []
    near: dict[int, tuple[int, str]] = {}  # free ground truth: a prediction that is about it
    for d in np.argsort([-tube.score for _, tube in preds], kind='stable').tolist():
        g = int(gt_of_pred[d])
        kind = RIGHT if g >= 0 else ''
        if g >= 0 and is_crowd[g]:
            kind = IGNORED
        elif g < 0:
            is_open = is_free.copy()  # an object that another prediction is near comes second
            is_open[list(near)] = False
            kind, g = _error_of(ious[d], shared_ious[d], same[d], (is_open, is_free), is_crowd)
        if kind in MADE_RIGHT:
            near.setdefault(g, (d, kind))
        category, tube = preds[d]
        about = (gts[g][1].entry, gts[g][0], float(ious[d, g])) if g >= 0 else (-1, -1, 0.0)
        pred_outcomes.append(
            PredictionOutcome(video, category, tube.entry, tube.score, kind, *about)
        )
    pred_of_gt = {int(g): d for d, g in enumerate(gt_of_pred) if g >= 0}
    gt_outcomes = []
    for g, (category, tube) in enumerate(gts):
        if tube.crowd:
            continue
        d, kind = (pred_of_gt[g], RIGHT) if g in pred_of_gt else near.get(g, (-1, 'Miss'))
        found = (preds[d][1].entry, float(ious[d, g])) if d >= 0 else (-1, 0.0)
        gt_outcomes.append(GroundTruthOutcome(video, category, tube.entry, kind, *found))
    return pred_outcomes, gt_outcomes


def _both_have_masks(
    preds: Sequence[tuple[int, MaskTube]], gts: Sequence[tuple[int, MaskTube]]
) -> np.ndarray:
    """Returns in which frames two tubes both have pixels: [T, D, G], or [0, D, G] without tubes."""
    if not preds or not gts:
        return np.zeros((0, len(preds), len(gts)), bool)
    has_pred = np.stack([tube.areas > 0 for _, tube in preds], 1)
    has_gt = np.stack([tube.areas > 0 for _, tube in gts], 1)
    return has_pred[:, :, None] & has_gt[:, None]


def match_greedily(scores: Sequence[float], ious: np.ndarray, is_crowd: np.ndarray) -> np.ndarray:
    """Returns the ground truth that each prediction finds at IoU 0.5, -1 for none: [D].

    The best prediction chooses first, the free ground truth of highest IoU, of equal ones the last,
    and a crowd only if there is no other; a crowd may be found many times (as in the metric).

    Args:
        scores: [D].
        ious: [D, G], 0 for pairs that may not match.
        is_crowd: [G] bool.

    Example:
        >>> match_greedily([0.5, 0.9], np.array([[0.8], [0.6]]), np.array([False])).tolist()
        [-1, 0]
    """
    is_free = np.ones(len(is_crowd), bool)
    found = np.full(len(scores), -1)
    for d in np.argsort(-np.asarray(scores, float), kind='stable').tolist():
        reached = (ious[d] >= FOREGROUND) & (is_free | is_crowd)
        candidates = reached & ~is_crowd if (reached & ~is_crowd).any() else reached
        if candidates.any():
            values = np.where(candidates, ious[d], -1)
            found[d] = len(values) - 1 - int(values[::-1].argmax())
            is_free[found[d]] = False
    return found


def _error_of(
    ious: np.ndarray,
    shared_ious: np.ndarray,
    same: np.ndarray,
    free: tuple[np.ndarray, np.ndarray],
    is_crowd: np.ndarray,
) -> tuple[str, int]:
    """Returns what is wrong with a prediction that found nothing, and about which ground truth.

    Args:
        ious, shared_ious: [G] of the tubes, and means over the frames that both have.
        same: [G] bool, whether the class is that of the prediction.
        free: [G] bool each: the ground truths that no prediction is about, and those that no
            prediction found.
        is_crowd: [G] bool.
    """

    def best(allowed: np.ndarray, least: float) -> int:
        values = np.where(allowed & (ious >= least), ious, -1.0)
        return int(values.argmax()) if (values >= 0).any() else -1

    def place_or_time(g: int) -> str:
        return 'Temp' if shared_ious[g] >= FOREGROUND else 'Spat'

    for is_free in free:
        if (g := best(same & is_free, BACKGROUND)) >= 0:
            return place_or_time(g), g
    for is_free in free:
        if (g := best(~same & is_free, FOREGROUND)) >= 0:
            return 'Cls', g
    is_taken = same & ~free[-1] & ~is_crowd
    if (g := best(is_taken, FOREGROUND)) >= 0:
        return 'Dup', g
    if (g := best(is_taken, BACKGROUND)) >= 0:  # a piece of a track, say
        return place_or_time(g), g
    if (g := best(~is_crowd, BACKGROUND)) < 0:
        return 'Bkg', -1
    return 'Both', g
