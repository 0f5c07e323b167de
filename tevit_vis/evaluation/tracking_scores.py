"""How well objects are followed: HOTA, IDF1, identity switches and fragmentations.

- HOTA: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV
  2021.
- IDF1: Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera
  Tracking", ECCV Workshops 2016.
- Switches and fragmentations: Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking
  Performance: The CLEAR MOT Metrics", 2008.

All numbers equal those of TrackEval 1.3.

Letters: T frames, G ground truth tracks, P predicted tracks, A = 19 thresholds of IoU.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import linear_sum_assignment

ALPHAS = np.arange(0.05, 0.99, 0.05)  # [A] IoU from which on HOTA counts a pair as matched
MATCH_IOU = 0.5  # of IDF1, switches and fragmentations
EPSILON = np.finfo(float).eps


@dataclass(frozen=True)
class FrameOverlaps:
    """The tracks that have a mask in one frame, and how much their masks overlap.

    Args:
        gts: [g] numbers of ground truth tracks, 0 to G - 1.
        preds: [p] numbers of predicted tracks, 0 to P - 1.
        ious: [g, p] of their masks in this frame.
    """

    gts: np.ndarray
    preds: np.ndarray
    ious: np.ndarray


@dataclass(frozen=True)
class TrackingScores:
    """The sums from which the scores of one or more videos are made.

    Args:
        true_positives, false_negatives, false_positives: [A] masks, of HOTA's matching.
        association, association_recall, association_precision: [A] sums over the true positives.
        localisation: [A] sums of the IoUs of the true positives.
        identity_matches: masks that the best one-to-one assignment of tracks matches.
        num_gts, num_preds: masks of ground truth and of predictions.
        switches: times that an object goes on under another track.
        fragmentations: times that an object is found again after it was not.

    Example:
        >>> frame = FrameOverlaps(np.array([0]), np.array([0]), np.array([[0.9]]))
        >>> scores = score_tracking([frame, frame], num_gts=1, num_preds=1)
        >>> round(scores.hota, 3), scores.idf1, scores.switches
        (0.947, 1.0, 0)
        >>> sum_scores([scores, scores]).num_gts
        4
    """

    true_positives: np.ndarray
    false_negatives: np.ndarray
    false_positives: np.ndarray
    association: np.ndarray
    association_recall: np.ndarray
    association_precision: np.ndarray
    localisation: np.ndarray
    identity_matches: float
    num_gts: int
    num_preds: int
    switches: int
    fragmentations: int

    @property
    def det_a(self) -> float:
        """HOTA's accuracy of detection: the Jaccard index of masks, mean over the thresholds."""
        return float(self._detection().mean())

    @property
    def ass_a(self) -> float:
        """HOTA's accuracy of association, mean over the thresholds.

        For each matched mask it is the Jaccard index of the two tracks that match there.
        """
        return float(self._per_match(self.association).mean())

    @property
    def loc_a(self) -> float:
        """HOTA's accuracy of localisation: the mean IoU of matched masks, over the thresholds."""
        found = np.maximum(1e-10, self.localisation) / np.maximum(1e-10, self.true_positives)
        return float(found.mean())

    @property
    def hota(self) -> float:
        """The mean over the thresholds of the geometric mean of detection and association."""
        return float(np.sqrt(self._detection() * self._per_match(self.association)).mean())

    @property
    def idf1(self) -> float:
        """The F1 score of masks under the best one-to-one assignment of tracks."""
        return 2 * self.identity_matches / max(1, self.num_gts + self.num_preds)

    def report(self) -> dict[str, float]:
        """Returns all scores by name."""
        return {
            'HOTA': self.hota,
            'DetA': self.det_a,
            'AssA': self.ass_a,
            'LocA': self.loc_a,
            'IDF1': self.idf1,
            'id_switches': self.switches,
            'fragmentations': self.fragmentations,
        }

    def _detection(self) -> np.ndarray:
        masks = self.true_positives + self.false_negatives + self.false_positives
        return self.true_positives / np.maximum(1, masks)

    def _per_match(self, sums: np.ndarray) -> np.ndarray:
        return sums / np.maximum(1, self.true_positives)


def sum_scores(videos: Iterable[TrackingScores]) -> TrackingScores:
    """Returns the scores of several videos together; each matched mask counts the same."""
    scores = list(videos) or [score_tracking([], 0, 0)]
    names = [field.name for field in fields(TrackingScores)]
    return TrackingScores(**{name: sum(getattr(s, name) for s in scores) for name in names})


def score_tracking(frames: Sequence[FrameOverlaps], num_gts: int, num_preds: int) -> TrackingScores:
    """Scores the tracks of one video.

    Args:
        frames: of the video, in order.
        num_gts, num_preds: G and P, with tracks that have no mask.
    """
    gt_lengths, pred_lengths = np.zeros(num_gts), np.zeros(num_preds)
    for frame in frames:
        gt_lengths[frame.gts] += 1
        pred_lengths[frame.preds] += 1
    switches, fragmentations = count_switches(frames, num_gts)
    total_gts, total_preds = int(gt_lengths.sum()), int(pred_lengths.sum())
    matches, localisation = _match_frames(frames, gt_lengths, pred_lengths)
    true_positives = matches.sum((1, 2))
    either = gt_lengths[:, None] + pred_lengths - matches
    return TrackingScores(
        true_positives=true_positives,
        false_negatives=total_gts - true_positives,
        false_positives=total_preds - true_positives,
        association=(matches * matches / np.maximum(1, either)).sum((1, 2)),
        association_recall=(matches**2 / np.maximum(1, gt_lengths[:, None])).sum((1, 2)),
        association_precision=(matches**2 / np.maximum(1, pred_lengths)).sum((1, 2)),
        localisation=localisation,
        identity_matches=_identity_matches(frames, num_gts, num_preds),
        num_gts=total_gts,
        num_preds=total_preds,
        switches=switches,
        fragmentations=fragmentations,
    )


def _match_frames(
    frames: Sequence[FrameOverlaps], gt_lengths: np.ndarray, pred_lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Matches masks frame by frame, as HOTA does.

    Pairs of tracks that overlap much in the whole video are preferred ("global alignment score").

    Returns:
        [A, G, P] frames in which two tracks are matched, and [A] sums of the matched masks' IoUs.
    """
    overlap = np.zeros((len(gt_lengths), len(pred_lengths)))
    for frame in frames:
        ious = frame.ious
        either = ious.sum(0)[None] + ious.sum(1)[:, None] - ious
        share = np.divide(ious, either, out=np.zeros_like(ious), where=either > EPSILON)
        overlap[frame.gts[:, None], frame.preds] += share
    either = gt_lengths[:, None] + pred_lengths - overlap
    alignment = np.divide(overlap, either, out=np.zeros_like(overlap), where=either > 0)
    matches = np.zeros((len(ALPHAS), *overlap.shape))
    localisation = np.zeros(len(ALPHAS))
    for frame in frames:
        values = alignment[frame.gts[:, None], frame.preds] * frame.ious
        rows, columns = linear_sum_assignment(values, maximize=True)
        ious = frame.ious[rows, columns]
        is_matched = ious >= ALPHAS[:, None] - EPSILON  # [A, pairs]
        matches[:, frame.gts[rows], frame.preds[columns]] += is_matched
        localisation += (is_matched * ious).sum(1)
    return matches, localisation


def _identity_matches(frames: Sequence[FrameOverlaps], num_gts: int, num_preds: int) -> float:
    """Returns how many masks match when each track is assigned to at most one other."""
    overlap = np.zeros((num_gts, num_preds))
    for frame in frames:
        overlap[frame.gts[:, None], frame.preds] += frame.ious >= MATCH_IOU
    return float(overlap[linear_sum_assignment(overlap, maximize=True)].sum())


def count_switches(frames: Sequence[FrameOverlaps], num_gts: int) -> tuple[int, int]:
    """Returns identity switches and fragmentations.

    A frame prefers the pairs of the frame before. An object switches if it is matched with
    another track than the last time, however long ago that was.

    Args:
        frames: of the video, in order.
        num_gts: G.
    """
    num_switches = 0
    starts = np.zeros(num_gts, int)  # times that each object begins to be followed
    was_followed = np.zeros(num_gts, bool)
    for matches, switches in matched_pairs(frames, num_gts):
        if matches is None:
            continue
        num_switches += len(switches)
        is_followed = np.zeros(num_gts, bool)
        is_followed[list(matches)] = True
        starts += is_followed & ~was_followed
        was_followed = is_followed
    return num_switches, int((starts[starts > 0] - 1).sum())


def matched_pairs(
    frames: Sequence[FrameOverlaps], num_gts: int
) -> Iterator[tuple[dict[int, int] | None, list[int]]]:
    """Yields for each frame which track each object is matched with, and the objects that switch.

    Args:
        frames: of the video, in order.
        num_gts: G.

    Returns:
        {ground truth track: predicted track}, and the ground truth tracks that go on under
        another track than the last time. The first is None in a frame without objects or without
        predictions, which does not end what was followed before (TrackEval).
    """
    last_track = np.full(num_gts, -1)  # with which each object was matched last
    before = np.full(num_gts, -1)  # the same in the frame before alone
    for frame in frames:
        if not len(frame.gts) or not len(frame.preds):
            yield None, []
            continue
        goes_on = frame.preds == before[frame.gts][:, None]
        values = np.where(frame.ious < MATCH_IOU - EPSILON, 0, 1000 * goes_on + frame.ious)
        rows, columns = linear_sum_assignment(values, maximize=True)
        is_matched = values[rows, columns] > EPSILON
        gts, preds = frame.gts[rows[is_matched]], frame.preds[columns[is_matched]]
        known = last_track[gts]
        switched = gts[(known >= 0) & (known != preds)]
        last_track[gts] = preds
        before[:] = -1
        before[gts] = preds
        yield dict(zip(gts.tolist(), preds.tolist())), switched.tolist()
