"""Whether scores are what they say: of the predictions that score 0.8, do 80 % find an object?

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .tube_errors import IGNORED, RIGHT, PredictionOutcome

NUM_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """How often predictions are right, by their score.

    Args:
        counts: [10] predictions with scores from 0 to 0.1, 0.1 to 0.2, and so on.
        mean_scores: [10] of them; 0 where there are none.
        right_shares: [10] share that found an object at IoU 0.5; 0 where there are none.

    Example:
        >>> right, wrong = (PredictionOutcome(1, 1, 0, 0.8, kind) for kind in ('Right', 'Bkg'))
        >>> calibration = calibrate([right, wrong])
        >>> round(calibration.error, 2), calibration.counts[8]
        (0.3, 2)
    """

    counts: list[int]
    mean_scores: list[float]
    right_shares: list[float]

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance of score and share, 0 to 1."""
        distances = np.abs(np.subtract(self.mean_scores, self.right_shares))
        return float(np.average(distances, weights=self.counts)) if sum(self.counts) else 0.0


def calibrate(predictions: Sequence[PredictionOutcome]) -> Calibration:
    """Compares the scores of predictions with how often they are right.

    Args:
        predictions: of ``find_errors``; those matched with crowds are left out.
    """
    counted = [pred for pred in predictions if pred.kind != IGNORED]
    scores = np.array([pred.score for pred in counted], float)
    right = np.array([pred.kind == RIGHT for pred in counted], float)
    bins = np.clip((scores * NUM_BINS).astype(int), 0, NUM_BINS - 1)
    counts = np.bincount(bins, minlength=NUM_BINS)
    divisor = np.maximum(1, counts)
    return Calibration(
        counts.tolist(),
        (np.bincount(bins, scores, NUM_BINS) / divisor).tolist(),
        (np.bincount(bins, right, NUM_BINS) / divisor).tolist(),
    )
