"""The YouTube-VIS metric: COCO's average precision and recall on tubes of masks.

Yang et al., "Video Instance Segmentation", ICCV 2019, section 3.3; numbers equal to those of the
official evaluator.

Letters: V videos, K categories, D predictions and G ground truths of one video and category,
T IoU thresholds, R recall levels, A area ranges, O occlusion groups, M limits on predictions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from terminaltables import AsciiTable

from .tubes import GroundTruth, Tube, parse_results, tube_ious

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_LEVELS = np.linspace(0.0, 1.0, 101)
# Pixels of a tube's mean mask; both ends belong to the range.
AREA_RANGES = {'all': (0, 1e10), 's': (0, 128**2), 'm': (128**2, 256**2), 'l': (256**2, 1e10)}
MAX_PREDICTIONS = (1, 10, 100)
STAT_NAMES = (
    'AP',
    'AP50',
    'AP75',
    'APs',
    'APm',
    'APl',
    'AR1',
    'AR10',
    'AR100',
    'ARs',
    'ARm',
    'ARl',
)
# OVIS: a ground truth's occlusion score; both ends belong to the group.
OCCLUSION_GROUPS = {'light': (0, 0.25), 'medium_occ': (0.25, 0.5), 'heavy': (0.5, 1)}


@dataclass(frozen=True)
class Evaluation:
    """Scores of a submission; -1 where there is no ground truth.

    Args:
        categories: {id: name} in order of the K axis.
        precision: [T, R, K, A, M].
        recall: [T, K, A, M].
        scores: [T, R, K, A, M], score at which each recall level is reached.
        ious: {(video id, category id): [D, G]}, predictions from best to worst.
        occlusion_precision: [T, R, K, O, M] of OVIS's groups, or None where the file does not
            tell occlusion.
        occlusion_recall: [T, K, O, M], or None.
    """

    categories: dict[int, str]
    precision: np.ndarray
    recall: np.ndarray
    scores: np.ndarray
    ious: dict[tuple[int, int], np.ndarray]
    occlusion_precision: np.ndarray | None = None
    occlusion_recall: np.ndarray | None = None

    @property
    def stats(self) -> dict[str, float]:
        """The 12 numbers of the official summary; with OVIS's groups, 6 more."""
        stats = self._summary(slice(None))
        if self.occlusion_precision is not None and self.occlusion_recall is not None:
            for o, name in enumerate(OCCLUSION_GROUPS):
                stats[f'AP_{name}'] = _mean(self.occlusion_precision[..., o, -1])
                stats[f'AR_{name}'] = _mean(self.occlusion_recall[..., o, -1])
        return stats

    @property
    def per_category(self) -> dict[int, dict[str, float]]:
        """The 12 numbers of each category, by its id."""
        return {
            category: self._summary(slice(k, k + 1)) for k, category in enumerate(self.categories)
        }

    def _summary(self, chosen: slice) -> dict[str, float]:
        precision, recall = self.precision[:, :, chosen], self.recall[:, chosen]
        areas = list(AREA_RANGES)
        stats = {'AP': _mean(precision[..., 0, -1])}
        for name, threshold in (('AP50', 0.5), ('AP75', 0.75)):
            at = np.isclose(IOU_THRESHOLDS, threshold)
            stats[name] = _mean(precision[at][..., 0, -1])
        for name in areas[1:]:
            stats[f'AP{name}'] = _mean(precision[..., areas.index(name), -1])
        for index, limit in enumerate(MAX_PREDICTIONS):
            stats[f'AR{limit}'] = _mean(recall[..., 0, index])
        for name in areas[1:]:
            stats[f'AR{name}'] = _mean(recall[..., areas.index(name), -1])
        return stats

    def __str__(self) -> str:
        return '\n'.join(f'{name:13} {value:7.4f}' for name, value in self.stats.items())

    def category_table(self) -> str:
        """A line per category, with a dash where it has no ground truth."""
        shown = ('AP', 'AP50', 'AP75', 'AR1', 'AR10')
        rows = [['category', *shown]]
        for category, stats in self.per_category.items():
            values = [f'{stats[key]:.4f}' if stats[key] > -1 else '-' for key in shown]
            rows.append([self.categories[category], *values])
        return str(AsciiTable(rows).table)

    def report(self) -> dict:
        """All numbers, for a JSON file."""
        categories = {
            self.categories[category]: stats for category, stats in self.per_category.items()
        }
        return {'stats': self.stats, 'per_category': categories}


def evaluate(truth: GroundTruth, results: Sequence[dict], origin: str = 'results') -> Evaluation:
    """Score a submission.

    Args:
        truth: of ``parse_ground_truth``.
        results: entries of a submission.
        origin: names the submission in errors.

    Raises:
        InputError: an entry that cannot be scored.
    """
    predictions = parse_results(results, truth.lengths, origin)
    num_groups = len(AREA_RANGES) + (len(OCCLUSION_GROUPS) if truth.tells_occlusion else 0)
    precision, recall, scores = _empty_arrays(len(truth.categories), num_groups)
    ious: dict[tuple[int, int], np.ndarray] = {}
    matched: dict[int, list[MatchedVideo]] = {category: [] for category in truth.categories}
    for video in sorted(truth.lengths):
        for category, tubes, theirs, overlaps in _compare_video(truth, predictions, video):
            ious[video, category] = overlaps
            matched[category].append(match_video(tubes, theirs, overlaps, num_groups))
    for k, category in enumerate(truth.categories):
        most = max((len(video.scores) for video in matched[category]), default=0)
        for a in range(num_groups):
            for m, limit in enumerate(MAX_PREDICTIONS):
                if m == 0 or most > MAX_PREDICTIONS[m - 1]:  # else the lower limit keeps all
                    curve = _accumulate([video.take(a, limit) for video in matched[category]])
                if curve is not None:
                    precision[:, :, k, a, m], recall[:, k, a, m], scores[:, :, k, a, m] = curve
    areas, occlusion = slice(len(AREA_RANGES)), slice(len(AREA_RANGES), None)
    return Evaluation(
        truth.categories,
        precision[:, :, :, areas],
        recall[:, :, areas],
        scores[:, :, :, areas],
        ious,
        precision[:, :, :, occlusion] if truth.tells_occlusion else None,
        recall[:, :, occlusion] if truth.tells_occlusion else None,
    )


def _compare_video(
    truth: GroundTruth, predictions: Mapping[tuple[int, int], list[Tube]], video: int
) -> Iterator[tuple[int, list[Tube], list[Tube], np.ndarray]]:
    """Category, its predictions from best to worst, its ground truths and their IoUs [D, G].

    The IoUs of all categories are computed at once, for few calls of pycocotools.
    """
    tubes, theirs = {}, {}
    for category in truth.categories:
        found = sorted(predictions.get((video, category), ()), key=lambda tube: -tube.score)
        tubes[category] = found[: MAX_PREDICTIONS[-1]]
        theirs[category] = truth.tubes.get((video, category), [])
    compared = [category for category in tubes if tubes[category] and theirs[category]]
    overlaps = tube_ious(
        list(chain.from_iterable(tubes[category] for category in compared)),
        list(chain.from_iterable(theirs[category] for category in compared)),
    )
    row = column = 0
    for category in tubes:
        height, width = len(tubes[category]), len(theirs[category])
        if height and width:
            block = overlaps[row : row + height, column : column + width]
            row, column = row + height, column + width
        else:
            block = np.zeros((height, width))
        if height or width:
            yield category, tubes[category], theirs[category], block


@dataclass(frozen=True)
class MatchedVideo:
    """How the predictions of one video and category fared."""

    scores: np.ndarray  # [D], best first
    matched: np.ndarray  # [A, T, D] bool
    ignored: np.ndarray  # [A, T, D] bool: counts neither for nor against
    num_truths: np.ndarray  # [A], without the ignored

    def take(self, area: int, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Scores [d], matched and ignored [T, d] of the best ``limit``, and number of truths."""
        return (
            self.scores[:limit],
            self.matched[area, :, :limit],
            self.ignored[area, :, :limit],
            int(self.num_truths[area]),
        )


def match_video(
    predictions: Sequence[Tube],
    truths: Sequence[Tube],
    ious: np.ndarray,
    num_groups: int = len(AREA_RANGES),
) -> MatchedVideo:
    """Match greedily, best prediction first, for all groups and thresholds at once.

    Groups are the area ranges and, where ``num_groups`` is larger, OVIS's occlusion groups, of
    which only ground truths are members: no prediction is ignored for occlusion.

    A prediction takes the free ground truth of highest IoU (of equals, the last), an ignored one
    only when no other reaches the threshold; crowds may be taken again and again.
    """
    crowd = np.array([tube.crowd for tube in truths], bool)
    outside = _outside_areas(truths)
    if num_groups > len(outside):
        outside = np.concatenate([outside, _outside_occlusion(truths)])
    ignored_truth = crowd | outside  # [A, G]
    thresholds = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)
    shape = num_groups, len(thresholds)
    free = np.ones((*shape, len(truths)), bool)
    matched = np.zeros((*shape, len(predictions)), bool)
    ignored = np.zeros((*shape, len(predictions)), bool)
    ignored[: len(AREA_RANGES)] = _outside_areas(predictions)[:, None]
    areas, levels = np.indices(shape)
    for d in (ious >= thresholds[0]).any(1).nonzero()[0].tolist():
        reaching = (free | crowd) & (ious[d] >= thresholds[:, None])  # [A, T, G]
        wanted = reaching & ~ignored_truth[:, None]
        candidates = np.where(wanted.any(2, keepdims=True), wanted, reaching)
        overlaps = np.where(candidates, ious[d], -1)
        best = len(truths) - 1 - overlaps[..., ::-1].argmax(2)  # [A, T], of equals the last
        found = candidates.any(2)
        free[areas[found], levels[found], best[found]] = False
        matched[..., d] = found
        ignored[..., d] = np.where(found, ignored_truth[areas, best], ignored[..., d])
    scores = np.array([tube.score for tube in predictions], float)
    return MatchedVideo(scores, matched, ignored, (~ignored_truth).sum(1))


def _outside_areas(tubes: Sequence[Tube]) -> np.ndarray:
    """Whether each tube's area is outside each range: [A, n]."""
    areas = np.array([tube.mean_area for tube in tubes], float)
    return np.array([(areas < low) | (areas > high) for low, high in AREA_RANGES.values()])


def _outside_occlusion(tubes: Sequence[Tube]) -> np.ndarray:
    """Whether each tube's occlusion is outside each group: [O, n]."""
    scores = np.array([np.nan if t.occlusion is None else t.occlusion for t in tubes], float)
    return np.array(
        [~((scores >= low) & (scores <= high)) for low, high in OCCLUSION_GROUPS.values()]
    )


def _accumulate(
    videos: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, int]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Precision [T, R], recall [T] and scores [T, R] of one category; None without truths."""
    num_truths = sum(video[3] for video in videos)
    if not num_truths:
        return None
    scores = np.concatenate([video[0] for video in videos])
    order = np.argsort(-scores, kind='mergesort')
    scores = scores[order]
    matched = np.concatenate([video[1] for video in videos], axis=1)[:, order]
    counted = ~np.concatenate([video[2] for video in videos], axis=1)[:, order]
    right = np.cumsum(matched & counted, axis=1).astype(float)
    wrong = np.cumsum(~matched & counted, axis=1).astype(float)
    recall = right / num_truths
    precision = right / (wrong + right + np.spacing(1))
    # Precision at a recall level is the best of this level or any higher one.
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    shape = len(IOU_THRESHOLDS), len(RECALL_LEVELS)
    at_levels, scores_at_levels = np.zeros(shape), np.zeros(shape)
    for t in range(shape[0]):
        places = np.searchsorted(recall[t], RECALL_LEVELS, side='left')
        reached = places < len(scores)
        at_levels[t, reached] = precision[t, places[reached]]
        scores_at_levels[t, reached] = scores[places[reached]]
    return at_levels, recall[:, -1] if len(scores) else np.zeros(shape[0]), scores_at_levels


def _empty_arrays(
    num_categories: int, num_groups: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    t, r = len(IOU_THRESHOLDS), len(RECALL_LEVELS)
    rest = num_categories, num_groups, len(MAX_PREDICTIONS)
    return -np.ones((t, r, *rest)), -np.ones((t, *rest)), -np.ones((t, r, *rest))


def _mean(values: np.ndarray) -> float:
    """Mean of what is defined, -1 where nothing is."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else -1.0
