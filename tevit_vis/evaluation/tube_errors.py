"""What is wrong with the predictions of a submission, and what each kind of error costs.

Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020, carried
from boxes of images to tubes of videos. An error in space and one in time are told apart by the
frames in which prediction and ground truth both have a mask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .scores import RECALL_LEVELS

RIGHT, IGNORED = 'Right', 'Ignored'
# The kinds of wrong predictions, in the order in which they are tried, then that of ground truths.
ERRORS = {
    'Spat': 'right class, but the masks are off in the frames that both have',
    'Temp': 'right class and right masks where both have one, but other frames or objects besides',
    'Cls': 'right tube, but another class',
    'Dup': 'a better prediction has found this object',
    'Bkg': 'there is nothing',
    'Both': 'another class, and the tube is off as well or its object was found already',
    'Miss': 'an object that no prediction is near',
}
MADE_RIGHT = ('Spat', 'Temp', 'Cls')  # what repairing does; the others are taken away
SPECIAL_REPAIRS = ('FalsePos', 'FalseNeg')


@dataclass(frozen=True)
class PredictionOutcome:
    """What became of one prediction.

    Args:
        video, category: ids.
        entry: index in the results file.
        score: of the prediction.
        kind: ``'Right'``, ``'Ignored'`` (matched with a crowd) or a key of ``ERRORS``.
        gt_entry: index in the annotation file of the ground truth that it is about; -1 for none.
        gt_category: id of that one's category; -1 for none.
        iou: of the two tubes.
    """

    video: int
    category: int
    entry: int
    score: float
    kind: str
    gt_entry: int = -1
    gt_category: int = -1
    iou: float = 0.0


@dataclass(frozen=True)
class GroundTruthOutcome:
    """What became of one ground truth that is no crowd.

    Args:
        video, category: ids.
        entry: index in the annotation file.
        kind: ``'Right'`` if it was found, ``'Miss'``, or the error of the prediction that would
            have found it.
        pred_entry: index in the results file of the prediction that is about it; -1 for none.
        iou: of the two tubes.
    """

    video: int
    category: int
    entry: int
    kind: str
    pred_entry: int = -1
    iou: float = 0.0


@dataclass(frozen=True)
class TubeErrors:
    """All errors of a submission.

    Args:
        categories: ids that have ground truth or predictions.
        predictions: what became of each of the 100 best predictions of a video and category.
        ground_truths: what became of each ground truth.
    """

    categories: list[int]
    predictions: list[PredictionOutcome]
    ground_truths: list[GroundTruthOutcome]

    @property
    def ap(self) -> float:
        """The average precision at IoU 0.5, as of the official metric."""
        return self._mean_ap('')

    def delta_ap(self) -> dict[str, float]:
        """Returns by how much the AP at IoU 0.5 rises when all errors of one kind are repaired.

        ``FalsePos`` takes every wrong prediction away, ``FalseNeg`` every ground truth that was
        not found.
        """
        before = self.ap
        return {kind: self._mean_ap(kind) - before for kind in (*ERRORS, *SPECIAL_REPAIRS)}

    def counts(self) -> dict[str, int]:
        """Returns the number of errors of each kind."""
        kinds = [pred.kind for pred in self.predictions if pred.kind in ERRORS]
        kinds += [gt.kind for gt in self.ground_truths if gt.kind == 'Miss']
        return {kind: kinds.count(kind) for kind in ERRORS}

    def _mean_ap(self, repaired: str) -> float:
        """Returns the mean AP of all categories with one kind of error repaired; -1 for none."""
        num_gts = dict.fromkeys(self.categories, 0)
        scores: dict[int, list[tuple[float, bool]]] = {key: [] for key in self.categories}
        for gt in self.ground_truths:
            gone = gt.kind == 'Miss' if repaired == 'Miss' else gt.kind != RIGHT
            if repaired not in ('Miss', 'FalseNeg') or not gone:
                num_gts[gt.category] += 1
        for pred, category, is_right in self._repaired(repaired):
            scores[category].append((pred.score, is_right))
        had_gts = {gt.category for gt in self.ground_truths}
        values = [
            average_precision(scores[key], num_gts[key])
            for key in self.categories
            if key in had_gts
        ]
        return float(np.mean(values)) if values else -1.0

    def _repaired(self, repaired: str) -> Iterable[tuple[PredictionOutcome, int, bool]]:
        """Yields the predictions that count, with their category and whether they are right."""
        best: dict[int, PredictionOutcome] = {}  # by ground truth, of those that are made right
        if repaired in MADE_RIGHT:
            found = {pred.gt_entry for pred in self.predictions if pred.kind == RIGHT}
            for pred in self.predictions:
                known = best.get(pred.gt_entry)
                is_better = known is None or pred.score > known.score
                if pred.kind == repaired and pred.gt_entry not in found and is_better:
                    best[pred.gt_entry] = pred
        for pred in self.predictions:
            if pred.kind == repaired:
                if best.get(pred.gt_entry) is pred:
                    yield pred, pred.gt_category, True
            elif pred.kind != IGNORED and (repaired != 'FalsePos' or pred.kind == RIGHT):
                yield pred, pred.category, pred.kind == RIGHT


def average_precision(predictions: Sequence[tuple[float, bool]], num_gts: int) -> float:
    """Returns the average precision of one category at 101 levels of recall, as of COCO.

    Args:
        predictions: score of each, and whether it is right.
        num_gts: ground truths that can be found. If there are none, the AP is 1 without wrong
            predictions, else 0.

    Example:
        >>> round(average_precision([(0.9, True), (0.8, False), (0.7, True)], num_gts=2), 3)
        0.835
    """
    if not num_gts:
        return float(all(is_right for _, is_right in predictions))
    if not predictions:
        return 0.0
    scores = np.array([score for score, _ in predictions])
    right = np.array([is_right for _, is_right in predictions])
    right = right[np.argsort(-scores, kind='mergesort')]
    num_right = np.cumsum(right)
    precision = num_right / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    first = np.searchsorted(num_right / num_gts, RECALL_LEVELS, side='left')
    reached = first < len(right)
    return float(precision[first[reached]].sum() / len(RECALL_LEVELS))


def confusion_matrix(errors: TubeErrors, min_score: float = 0.3) -> dict[tuple[int, int], int]:
    """Returns how often objects of one category were found as another: {(true, predicted): count}.

    A category of -1 stands for no object and for no prediction. Every prediction that scores at
    least ``min_score`` counts once, and every ground truth that none of them is right about.

    Args:
        errors: of ``find_errors``.
        min_score: least score of the predictions that count.
    """
    counts: dict[tuple[int, int], int] = defaultdict(int)
    accounted = set()
    for pred in errors.predictions:
        if pred.score < min_score or pred.kind == IGNORED:
            continue
        is_about = pred.kind in (RIGHT, 'Cls')
        counts[pred.gt_category if is_about else -1, pred.category] += 1
        if is_about:
            accounted.add(pred.gt_entry)
    for gt in errors.ground_truths:
        if gt.entry not in accounted:
            counts[gt.category, -1] += 1
    return dict(counts)
