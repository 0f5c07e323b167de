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

from .results import parse_results
from .scores import (
    AREA_RANGES,
    IOU_THRESHOLDS,
    MAX_PREDICTIONS,
    OCCLUSION_GROUPS,
    RECALL_LEVELS,
    Evaluation,
)
from .tubes import GroundTruth, MaskTube, tube_ious


def evaluate(
    ground_truth: GroundTruth, results: Sequence[dict], origin: str = 'results'
) -> Evaluation:
    """Scores a submission.

    Args:
        ground_truth: what ``parse_ground_truth`` returns.
        results: entries of a submission.
        origin: names the submission in errors.

    Raises:
        InputError: an entry cannot be scored.
    """
    predictions = parse_results(results, ground_truth.lengths, origin)
    num_groups = len(AREA_RANGES) + (len(OCCLUSION_GROUPS) if ground_truth.has_occlusion else 0)
    precision, recall, scores = _empty_arrays(len(ground_truth.categories), num_groups)
    ious: dict[tuple[int, int], np.ndarray] = {}
    matched_videos: dict[int, list[MatchedVideo]] = {
        category: [] for category in ground_truth.categories
    }
    for video in sorted(ground_truth.lengths):
        for category, pred_tubes, gt_tubes, video_ious in _compare_video(
            ground_truth, predictions, video
        ):
            ious[video, category] = video_ious
            matched_videos[category].append(
                match_video(pred_tubes, gt_tubes, video_ious, num_groups)
            )
    for k, category in enumerate(ground_truth.categories):
        num_preds = max((len(video.scores) for video in matched_videos[category]), default=0)
        for a in range(num_groups):
            for m, limit in enumerate(MAX_PREDICTIONS):
                if m == 0 or num_preds > MAX_PREDICTIONS[m - 1]:  # else the curve stays the same
                    curve = accumulate([video.best(a, limit) for video in matched_videos[category]])
                if curve is not None:
                    precision[:, :, k, a, m], recall[:, k, a, m], scores[:, :, k, a, m] = curve
    areas, occlusion = slice(len(AREA_RANGES)), slice(len(AREA_RANGES), None)
    return Evaluation(
        ground_truth.categories,
        precision[:, :, :, areas],
        recall[:, :, areas],
        scores[:, :, :, areas],
        ious,
        precision[:, :, :, occlusion] if ground_truth.has_occlusion else None,
        recall[:, :, occlusion] if ground_truth.has_occlusion else None,
    )


def _compare_video(
    ground_truth: GroundTruth, predictions: Mapping[tuple[int, int], list[MaskTube]], video: int
) -> Iterator[tuple[int, list[MaskTube], list[MaskTube], np.ndarray]]:
    """Yields each category, its predictions from best to worst, its ground truth and their IoUs
    [D, G].

    The IoUs of all categories are computed at once, which needs fewer calls of pycocotools.
    """
    pred_tubes, gt_tubes = {}, {}
    for category in ground_truth.categories:
        best_first = sorted(predictions.get((video, category), ()), key=lambda tube: -tube.score)
        pred_tubes[category] = best_first[: MAX_PREDICTIONS[-1]]
        gt_tubes[category] = ground_truth.tubes.get((video, category), [])
    compared_categories = [
        category for category in pred_tubes if pred_tubes[category] and gt_tubes[category]
    ]
    all_ious = tube_ious(
        list(chain.from_iterable(pred_tubes[category] for category in compared_categories)),
        list(chain.from_iterable(gt_tubes[category] for category in compared_categories)),
    )
    row = column = 0
    for category in pred_tubes:
        num_preds, num_gts = len(pred_tubes[category]), len(gt_tubes[category])
        if num_preds and num_gts:
            category_ious = all_ious[row : row + num_preds, column : column + num_gts]
            row, column = row + num_preds, column + num_gts
        else:
            category_ious = np.zeros((num_preds, num_gts))
        if num_preds or num_gts:
            yield category, pred_tubes[category], gt_tubes[category], category_ious


@dataclass(frozen=True)
class MatchedVideo:
    """Which predictions of one video and category are matched."""

    scores: np.ndarray  # [D], best first
    matched: np.ndarray  # [A, T, D] bool
    ignored: np.ndarray  # [A, T, D] bool, counted neither as right nor as wrong
    num_gts: np.ndarray  # [A], without ignored ones

    def best(self, group: int, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Returns scores [d], matched and ignored [T, d] of the best ``limit`` predictions in a
        group, and the number of ground truths of the group.
        """
        return (
            self.scores[:limit],
            self.matched[group, :, :limit],
            self.ignored[group, :, :limit],
            int(self.num_gts[group]),
        )


def match_video(
    pred_tubes: Sequence[MaskTube],
    gt_tubes: Sequence[MaskTube],
    ious: np.ndarray,
    num_groups: int = len(AREA_RANGES),
) -> MatchedVideo:
    """Matches predictions greedily, best first, for all groups and thresholds at once.

    Groups are the area ranges and, if ``num_groups`` is larger, OVIS's occlusion groups. Only
    ground truths belong to occlusion groups: no prediction is ignored because of occlusion.

    A prediction is matched with the free ground truth of highest IoU; of equal ones, with the
    last. An ignored ground truth is matched only if no other reaches the threshold. A crowd may be
    matched many times.
    """
    is_gt_outside = _outside_areas(gt_tubes)
    is_pred_outside = _outside_areas(pred_tubes)
    if num_groups > len(is_gt_outside):
        is_gt_outside = np.concatenate([is_gt_outside, _outside_occlusion(gt_tubes)])
        everywhere = np.zeros((num_groups - len(is_pred_outside), len(pred_tubes)), bool)
        is_pred_outside = np.concatenate([is_pred_outside, everywhere])
    is_crowd = np.array([tube.crowd for tube in gt_tubes], bool)
    scores = np.array([tube.score for tube in pred_tubes], float)
    return match_groups(scores, ious, is_crowd, is_gt_outside, is_pred_outside)


def match_groups(
    scores: np.ndarray,
    ious: np.ndarray,
    is_crowd: np.ndarray,
    is_gt_outside: np.ndarray,
    is_pred_outside: np.ndarray,
) -> MatchedVideo:
    """Matches predictions greedily, best first, for any groups of ground truths.

    Args:
        scores: [D], best first.
        ious: [D, G].
        is_crowd: [G] bool.
        is_gt_outside: [A, G] bool, whether a ground truth does not belong to a group.
        is_pred_outside: [A, D] bool, whether a prediction that is not matched is ignored.
    """
    num_preds, num_gts = ious.shape
    is_gt_ignored = is_crowd | is_gt_outside  # [A, G]
    thresholds = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)
    shape = len(is_gt_outside), len(thresholds)
    is_free = np.ones((*shape, num_gts), bool)
    matched = np.zeros((*shape, num_preds), bool)
    ignored = np.repeat(is_pred_outside[:, None], len(thresholds), axis=1)
    group_index, threshold_index = np.indices(shape)
    for d in (ious >= thresholds[0]).any(1).nonzero()[0].tolist():
        reached = (is_free | is_crowd) & (ious[d] >= thresholds[:, None])  # [A, T, G]
        counted = reached & ~is_gt_ignored[:, None]
        candidates = np.where(counted.any(2, keepdims=True), counted, reached)
        candidate_ious = np.where(candidates, ious[d], -1)
        best = num_gts - 1 - candidate_ious[..., ::-1].argmax(2)  # [A, T], of equals the last
        has_match = candidates.any(2)
        is_free[group_index[has_match], threshold_index[has_match], best[has_match]] = False
        matched[..., d] = has_match
        ignored[..., d] = np.where(has_match, is_gt_ignored[group_index, best], ignored[..., d])
    return MatchedVideo(scores, matched, ignored, (~is_gt_ignored).sum(1))


def _outside_areas(tubes: Sequence[MaskTube]) -> np.ndarray:
    """Whether the mean area of each tube is outside each range: [A, n]."""
    areas = np.array([tube.mean_area for tube in tubes], float)
    return np.array([(areas < low) | (areas > high) for low, high in AREA_RANGES.values()])


def _outside_occlusion(tubes: Sequence[MaskTube]) -> np.ndarray:
    """Whether the occlusion of each tube is outside each group: [O, n]."""
    scores = np.array([np.nan if t.occlusion is None else t.occlusion for t in tubes], float)
    return np.array(
        [~((scores >= low) & (scores <= high)) for low, high in OCCLUSION_GROUPS.values()]
    )


def accumulate(
    videos: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, int]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Returns precision [T, R], recall [T] and scores [T, R] of one category; None without ground
    truth.
    """
    num_gts = sum(video[3] for video in videos)
    if not num_gts:
        return None
    scores = np.concatenate([video[0] for video in videos])
    order = np.argsort(-scores, kind='mergesort')
    scores = scores[order]
    matched = np.concatenate([video[1] for video in videos], axis=1)[:, order]
    counted = ~np.concatenate([video[2] for video in videos], axis=1)[:, order]
    num_right = np.cumsum(matched & counted, axis=1).astype(float)
    num_wrong = np.cumsum(~matched & counted, axis=1).astype(float)
    recall = num_right / num_gts
    precision = num_right / (num_wrong + num_right + np.spacing(1))
    # The precision at a recall level is the highest at this level or above.
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    shape = len(IOU_THRESHOLDS), len(RECALL_LEVELS)
    precision_at_levels, scores_at_levels = np.zeros(shape), np.zeros(shape)
    for t in range(shape[0]):
        first_reaching = np.searchsorted(recall[t], RECALL_LEVELS, side='left')
        reached = first_reaching < len(scores)
        precision_at_levels[t, reached] = precision[t, first_reaching[reached]]
        scores_at_levels[t, reached] = scores[first_reaching[reached]]
    return (
        precision_at_levels,
        recall[:, -1] if len(scores) else np.zeros(shape[0]),
        scores_at_levels,
    )


def _empty_arrays(
    num_categories: int, num_groups: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    t, r = len(IOU_THRESHOLDS), len(RECALL_LEVELS)
    rest = num_categories, num_groups, len(MAX_PREDICTIONS)
    return -np.ones((t, r, *rest)), -np.ones((t, *rest)), -np.ones((t, r, *rest))
