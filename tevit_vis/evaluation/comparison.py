"""Whether one submission is better than another, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .analysis import Analysis
from .scores import RECALL_LEVELS
from .tube_errors import IGNORED, RIGHT, PredictionOutcome, TubeErrors

NUM_SAMPLES = 500  # draws of videos
LEAST_VIDEOS = 5  # fewer say nothing about others
INTERVAL = (2.5, 97.5)  # percentiles between which the difference lies with 95 % of the draws


@dataclass(frozen=True)
class VideoDifference:
    """How a video differs between two submissions; numbers are second minus first.

    Args:
        video: id.
        ap50: difference of the video's AP at IoU 0.5; 0 without ground truth.
        hota: difference of HOTA.
        found, lost: indices of the ground truths that only the second, or only the first, found.
    """

    video: int
    ap50: float
    hota: float
    found: list[int]
    lost: list[int]


@dataclass(frozen=True)
class Comparison:
    """Two submissions of one data set.

    Args:
        ap50: AP at IoU 0.5 of the second minus that of the first.
        interval: in which that difference lies for 95 % of the draws of as many videos, with
            repetition, from those of the data set (Efron, "Bootstrap Methods: Another Look at the
            Jackknife", 1979). If it holds 0, other videos may well turn the order around.
        videos: those that differ, the best gain first.
        both, neither: number of ground truths that both, or none, found.
        num_videos: of the data set.
    """

    ap50: float
    interval: tuple[float, float]
    videos: list[VideoDifference]
    both: int
    neither: int
    num_videos: int

    def report(self) -> dict:
        """Returns all numbers as the content of a JSON file."""
        return {
            'AP50': self.ap50,
            'interval': list(self.interval),
            'found_by_both': self.both,
            'found_by_none': self.neither,
            'videos': {
                str(video.video): {
                    'AP50': video.ap50,
                    'HOTA': video.hota,
                    'found': len(video.found),
                    'lost': len(video.lost),
                }
                for video in self.videos
            },
        }

    def sentence(self) -> str:
        """Returns in words whether the second submission is better."""
        num_found = sum(len(video.found) for video in self.videos)
        num_lost = sum(len(video.lost) for video in self.videos)
        counts = f'{num_found} objects are newly found, {num_lost} are lost'
        if self.num_videos < LEAST_VIDEOS:
            return (
                f'AP50 {100 * self.ap50:+.1f}; too few videos to say whether others would show '
                f'the same; {counts}'
            )
        low, high = (100 * value for value in self.interval)
        verdict = 'better' if low > 0 else 'worse' if high < 0 else 'no different for certain'
        return (
            f'AP50 {100 * self.ap50:+.1f} ({low:+.1f} to {high:+.1f} if other videos were drawn): '
            f'{verdict}; {counts}'
        )


def compare(first: Analysis, second: Analysis, seed: int = 0) -> Comparison:
    """Compares two submissions of one data set.

    Args:
        first, second: of ``analyse``, with the same ground truth.
        seed: of the draws of videos.
    """
    found_by = [
        {gt.entry for gt in analysis.errors.ground_truths if gt.kind == RIGHT}
        for analysis in (first, second)
    ]
    own_of: dict[int, set[int]] = {video: set() for video in first.videos}
    for gt in first.errors.ground_truths:
        own_of[gt.video].add(gt.entry)
    differences = []
    for video, before in first.videos.items():
        after, own = second.videos[video], own_of[video]
        difference = VideoDifference(
            video,
            after.ap50 - before.ap50,
            after.tracking.hota - before.tracking.hota,
            sorted((found_by[1] - found_by[0]) & own),
            sorted((found_by[0] - found_by[1]) & own),
        )
        if difference.found or difference.lost or difference.ap50 or difference.hota:
            differences.append(difference)
    draws = draw_videos(len(first.videos), seed)
    spread = sampled_ap(second.errors, list(first.videos), draws) - sampled_ap(
        first.errors, list(first.videos), draws
    )
    low, high = np.percentile(spread, INTERVAL)
    return Comparison(
        ap50=second.errors.ap - first.errors.ap,
        interval=(float(low), float(high)),
        videos=sorted(differences, key=lambda each: (-each.ap50, -each.hota)),
        both=len(found_by[0] & found_by[1]),
        neither=len(first.errors.ground_truths) - len(found_by[0] | found_by[1]),
        num_videos=len(first.videos),
    )


def draw_videos(num_videos: int, seed: int) -> np.ndarray:
    """Returns how often each video is drawn: [500, num_videos], each row sums to ``num_videos``.

    Example:
        >>> draw_videos(3, seed=0).sum(1).tolist() == [3] * 500
        True
    """
    shares = np.full(num_videos, 1 / max(1, num_videos))
    return np.random.default_rng(seed).multinomial(num_videos, shares, NUM_SAMPLES)


def sampled_ap(errors: TubeErrors, videos: Sequence[int], draws: np.ndarray) -> np.ndarray:
    """Returns the AP at IoU 0.5 of each draw of videos: [S].

    Args:
        errors: of ``find_errors``.
        videos: V ids.
        draws: [S, V] how often each video counts.
    """
    column = {video: index for index, video in enumerate(videos)}
    by_class: dict[int, list[PredictionOutcome]] = {key: [] for key in errors.categories}
    for pred in errors.predictions:
        if pred.kind != IGNORED:
            by_class[pred.category].append(pred)
    num_gts = {key: np.zeros(len(draws)) for key in errors.categories}
    for gt in errors.ground_truths:
        num_gts[gt.category] += draws[:, column[gt.video]]
    total, classes = np.zeros(len(draws)), np.zeros(len(draws))
    for category, preds in by_class.items():
        has_gts = num_gts[category] > 0
        total[has_gts] += _class_ap(preds, column, draws[has_gts], num_gts[category][has_gts])
        classes += has_gts
    return total / np.maximum(1, classes)


def _class_ap(
    preds: Sequence[PredictionOutcome],
    column: Mapping[int, int],
    draws: np.ndarray,
    num_gts: np.ndarray,
) -> np.ndarray:
    """Returns the AP of one class for each of S draws: [S]."""
    if not preds:
        return np.zeros(len(draws))
    order = np.argsort([-pred.score for pred in preds], kind='stable')
    weights = draws[:, [column[preds[d].video] for d in order]]  # [S, D]
    right = np.cumsum(weights * [preds[d].kind == RIGHT for d in order], 1)
    precision = right / np.maximum(1, np.cumsum(weights, 1))
    precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    recall = right / num_gts[:, None]
    values = np.zeros(len(draws))
    for s in range(len(draws)):
        first = np.searchsorted(recall[s], RECALL_LEVELS, side='left')
        values[s] = precision[s, first[first < len(preds)]].sum() / len(RECALL_LEVELS)
    return values
