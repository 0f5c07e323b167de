"""Everything that is known about a submission: scores, errors, tracking, slices, calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from .calibration import Calibration, calibrate
from .find_errors import find_errors
from .results import parse_results
from .scores import Evaluation
from .slices import SliceScores, score_slices
from .timelines import Timeline, timelines, track_overlaps
from .tracking_scores import TrackingScores, score_tracking, sum_scores
from .tube_errors import (
    ERRORS,
    RIGHT,
    GroundTruthOutcome,
    PredictionOutcome,
    TubeErrors,
    average_precision,
    confusion_matrix,
)
from .tubes import GroundTruth
from .ytvis_eval import evaluate

MIN_SCORE = 0.3  # least score of the predictions whose tracks and confusions are counted


@dataclass(frozen=True)
class VideoScores:
    """The scores of one video.

    Args:
        num_gts, num_preds: ground truths that are no crowd, and predictions.
        ap50: average precision at IoU 0.5 of the video alone, mean over its classes; -1 without
            ground truth.
        counts: predictions and ground truths by what became of them: ``'Right'`` and ``ERRORS``.
        tracking: of the predictions that score at least ``min_score``.
    """

    num_gts: int
    num_preds: int
    ap50: float
    counts: dict[str, int]
    tracking: TrackingScores


@dataclass(frozen=True)
class Analysis:
    """All numbers of a submission.

    Args:
        evaluation: the official metric.
        errors: what is wrong with each prediction.
        tracking: HOTA, IDF1, switches and fragmentations of all videos. A mask overlaps masks of
            its own class only, and only predictions that score at least ``min_score`` count.
        videos: {video id: scores}.
        timelines: {video id: how each ground truth is followed}.
        slices: {property: {group: scores}}.
        calibration: of all predictions.
        class_calibration: {category id: calibration}.
        confusion: {(true category, predicted category): count}, see ``confusion_matrix``.
        min_score: least score of the predictions in ``tracking`` and ``confusion``.
    """

    evaluation: Evaluation
    errors: TubeErrors
    tracking: TrackingScores
    videos: dict[int, VideoScores]
    timelines: dict[int, list[Timeline]]
    slices: dict[str, dict[str, SliceScores]]
    calibration: Calibration
    class_calibration: dict[int, Calibration]
    confusion: dict[tuple[int, int], int]
    min_score: float

    def report(self) -> dict:
        """Returns all numbers as the content of a JSON file."""
        names = {**self.evaluation.categories, -1: 'none'}
        return {
            **self.evaluation.report(),
            'errors': {
                'AP50': self.errors.ap,
                'delta_AP50': self.errors.delta_ap(),
                'counts': self.errors.counts(),
                'meaning': ERRORS,
            },
            'tracking': self.tracking.report(),
            'min_score': self.min_score,
            'videos': {
                str(video): {
                    'ground_truths': scores.num_gts,
                    'predictions': scores.num_preds,
                    'AP50': scores.ap50,
                    'counts': scores.counts,
                    **scores.tracking.report(),
                }
                for video, scores in self.videos.items()
            },
            'slices': {
                name: {group: asdict(scores) for group, scores in groups.items()}
                for name, groups in self.slices.items()
            },
            'calibration': {**asdict(self.calibration), 'error': self.calibration.error},
            'calibration_per_category': {
                names[category]: {**asdict(each), 'error': each.error}
                for category, each in self.class_calibration.items()
            },
            'precision_recall': {
                names[category]: curves
                for category, curves in self.evaluation.precision_recall().items()
            },
            'confusion': [
                {'true': names[true], 'predicted': names[predicted], 'count': count}
                for (true, predicted), count in sorted(self.confusion.items())
            ],
        }

    def sentences(self, most: int = 3) -> list[str]:
        """Returns the most useful findings in words, the largest gain first.

        Args:
            most: the largest number of sentences.
        """
        gains = self.errors.delta_ap()
        counts = self.errors.counts()
        lost = max(1e-9, 1 - self.errors.ap)
        by_gain = sorted(ERRORS, key=lambda kind: -gains[kind])
        found = [
            f'{kind}: {counts[kind]} times, {ERRORS[kind]}; without these AP50 is '
            f'{100 * (self.errors.ap + gains[kind]):.1f} instead of {100 * self.errors.ap:.1f} '
            f'({100 * gains[kind] / lost:.0f} % of what is lost)'
            for kind in by_gain
            if gains[kind] > 0.001
        ]
        if self.tracking.switches:
            found.insert(
                min(1, len(found)),
                f'identity: objects go on under another track {self.tracking.switches} times; '
                f'HOTA is {100 * self.tracking.hota:.1f}, its association '
                f'{100 * self.tracking.ass_a:.1f}, its detection {100 * self.tracking.det_a:.1f}',
            )
        if found:
            return found[:most]
        if self.errors.ap < 0:
            return ['there is nothing to find: no object, or crowds only']
        if self.errors.ap >= 1 and not any(counts.values()):
            return ['nothing is wrong at IoU 0.5']
        times = ', '.join(f'{kind} {count}' for kind, count in counts.items() if count)
        if self.errors.ap >= 1:
            return [f'nothing is lost at IoU 0.5: wrong predictions score less ({times})']
        return [f'AP50 is {100 * self.errors.ap:.1f}; no kind of error explains it alone: {times}']


def analyse(
    ground_truth: GroundTruth,
    results: Sequence[dict],
    origin: str = 'results',
    min_score: float = MIN_SCORE,
) -> Analysis:
    """Analyses a submission.

    Args:
        ground_truth: of ``parse_ground_truth``.
        results: entries of a submission.
        origin: names the submission in errors.
        min_score: least score of the predictions whose tracks and confusions are counted.

    Raises:
        InputError: an entry cannot be scored.
    """
    evaluation = evaluate(ground_truth, results, origin)
    predictions = parse_results(results, ground_truth.lengths, origin)
    errors = find_errors(ground_truth, predictions)
    tracking: dict[int, TrackingScores] = {}
    followed: dict[int, list[Timeline]] = {}
    for video in sorted(ground_truth.lengths):
        overlaps = track_overlaps(ground_truth, predictions, video, min_score)
        tracking[video] = score_tracking(overlaps.frames, len(overlaps.gts), len(overlaps.preds))
        followed[video] = timelines(overlaps)
    switches = {line.entry: len(line.switches) for lines in followed.values() for line in lines}
    return Analysis(
        evaluation=evaluation,
        errors=errors,
        tracking=sum_scores(tracking.values()),
        videos=_video_scores(errors, tracking),
        timelines=followed,
        slices=score_slices(ground_truth, predictions, evaluation.ious, errors, switches),
        calibration=calibrate(errors.predictions),
        class_calibration={
            category: calibrate([p for p in errors.predictions if p.category == category])
            for category in errors.categories
        },
        confusion=confusion_matrix(errors, min_score),
        min_score=min_score,
    )


def _video_scores(
    errors: TubeErrors, tracking: Mapping[int, TrackingScores]
) -> dict[int, VideoScores]:
    """Returns the scores of each video."""
    preds_of: dict[int, list[PredictionOutcome]] = {video: [] for video in tracking}
    gts_of: dict[int, list[GroundTruthOutcome]] = {video: [] for video in tracking}
    for pred in errors.predictions:
        preds_of[pred.video].append(pred)
    for gt in errors.ground_truths:
        gts_of[gt.video].append(gt)
    videos = {}
    for video, followed in tracking.items():
        preds, gts = preds_of[video], gts_of[video]
        counts = Counter(pred.kind for pred in preds)
        counts['Miss'] = sum(gt.kind == 'Miss' for gt in gts)
        values = [
            average_precision(
                [(pred.score, pred.kind == RIGHT) for pred in preds if pred.category == category],
                sum(gt.category == category for gt in gts),
            )
            for category in sorted({gt.category for gt in gts})
        ]
        ap50 = float(np.mean(values)) if values else -1.0
        kinds = {kind: counts[kind] for kind in (RIGHT, *ERRORS)}
        videos[video] = VideoScores(len(gts), len(preds), ap50, kinds, followed)
    return videos
