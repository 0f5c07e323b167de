"""Tracks by the embeddings of instances, frame by frame or window by window.

Two published rules are settings of one linker:

- MinVIS (Huang et al., NeurIPS 2022, section 3.3): the cosine of each instance with the last one of
  each track, and the assignment with the largest sum.
- CTVIS (Ying et al., ICCV 2023, section 3.3): the bi-softmax of their products; instances choose in
  the order of their scores; tracks fuse what they saw and are remembered while out of sight.

Letters: N instances of a window, M open tracks, T frames of a window, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

import numpy as np

from tevit_vis.arrays import Array, as_float, to_numpy, where
from tevit_vis.structures import ClipPrediction, FrameInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.registry import TRACKERS
from tevit_vis.utils.values import check_fraction, check_whole_number, did_you_mean, is_number

from .association import assign, assign_greedily, bi_softmax, cosine, soft_iou
from .track_store import TrackStore, instance_embeddings
from .tracker import TRACKER_KEY, Tracker

SIMILARITIES = {'cosine': cosine, 'bi_softmax': bi_softmax}
ASSIGNMENTS = ('best_sum', 'by_score')


@dataclass(frozen=True)
class InstanceFilter:
    """Which instances of a window are linked: no unlikely ones, and none twice (CTVIS).

    Args:
        min_score: instances with a lower score are left out, 0 to 1.
        max_mask_iou: of two instances with a larger IoU, the one with the lower score is left out,
            0 to 1; 1 keeps both.
    """

    min_score: float = 0.01
    max_mask_iou: float = 0.6

    @classmethod
    def of(cls, config: Mapping) -> InstanceFilter:
        """Reads ``tracker.instances``.

        Raises:
            InputError: another key, or a value that is not from 0 to 1.
        """
        key = f'{TRACKER_KEY}.instances'
        if not isinstance(config, Mapping):
            raise InputError(f'{key}: must have min_score and max_mask_iou, but got {config!r}')
        unknown = sorted(set(config) - set(cls.__dataclass_fields__))
        if unknown:
            raise InputError(f'{key}: may have min_score and max_mask_iou, but got {unknown[0]!r}')
        return cls(**{name: check_fraction(f'{key}.{name}', config[name]) for name in config})

    def kept(self, logits: Array, scores: np.ndarray) -> list[int]:
        """Returns the instances that are linked, in order.

        Args:
            logits: [N, T, h, w] of their masks.
            scores: [N].

        Example:
            >>> logits = np.array([9.0, 9.0, -9.0]).reshape(3, 1, 1, 1)
            >>> InstanceFilter().kept(logits, np.array([0.5, 0.9, 0.3]))
            [1, 2]
        """
        best_first = np.argsort(-scores, kind='stable')
        best_first = best_first[scores[best_first] >= self.min_score].tolist()
        if self.max_mask_iou == 1 or len(best_first) < 2:
            return sorted(best_first)
        masks = as_float(logits[best_first] > 0)
        ious = to_numpy(soft_iou(masks, masks))
        kept: list[int] = []  # places in best_first
        for place in range(len(best_first)):
            if all(ious[place, other] <= self.max_mask_iou for other in kept):
                kept.append(place)
        return sorted(best_first[place] for place in kept)


DEFAULT_INSTANCES = MappingProxyType(asdict(InstanceFilter()))


@TRACKERS.register_module()
class QueryLinker(Tracker):
    """Lets an instance continue the track whose embedding is most like its own.

    Windows need not share a frame: ``windows=dict(length=1, stride=1)`` links frames. What the
    linker keeps does not grow with the video: open tracks, and for ``memory`` frames those that are
    out of sight.

    Args:
        min_score: mean probability above which a track is output under a class, 0 to 1.
        similarity: ``'cosine'`` (MinVIS) or ``'bi_softmax'`` (CTVIS).
        assignment: ``'best_sum'`` finds the pairs with the largest sum of similarities (MinVIS);
            with ``'by_score'`` instances choose one after the other, the best score first, and
            prefer tracks of many windows (CTVIS).
        min_similarity: similarity above which an instance may continue a track, 0 to 1.
        min_cosine: cosine that a pair must also exceed, -1 to 1. The bi-softmax of a single track
            and a single instance is 1, however little they are alike: at a cut of a film this
            keeps them apart.
        memory: number of frames for which a track may be out of sight and go on.
        fuses: mix each instance into the embedding of its track (CTVIS); otherwise the last
            instance replaces it (MinVIS).
        instances: ``min_score`` and ``max_mask_iou`` of ``InstanceFilter``, which instances of a
            window are linked at all.
    """

    def __init__(
        self,
        min_score: float,
        similarity: str = 'bi_softmax',
        assignment: str = 'by_score',
        min_similarity: float = 0.2,
        min_cosine: float = 0.0,
        memory: int = 20,
        fuses: bool = True,
        instances: Mapping | None = DEFAULT_INSTANCES,
    ) -> None:
        super().__init__(min_score)
        self.similarity = SIMILARITIES[_choice('similarity', similarity, tuple(SIMILARITIES))]
        self.assignment = _choice('assignment', assignment, ASSIGNMENTS)
        self.min_similarity = check_fraction(f'{TRACKER_KEY}.min_similarity', min_similarity)
        if not is_number(min_cosine) or not -1 <= min_cosine <= 1:
            raise InputError(
                f'{TRACKER_KEY}.min_cosine: must be a number from -1 to 1, but got {min_cosine!r}'
            )
        self.min_cosine = float(min_cosine)
        if not isinstance(fuses, bool):
            raise InputError(f'{TRACKER_KEY}.fuses: must be True or False, but got {fuses!r}')
        self.fuses = fuses
        self.instances = InstanceFilter.of({} if instances is None else instances)
        self.store = TrackStore(check_whole_number(f'{TRACKER_KEY}.memory', memory, least=0))

    def add(self, frames: range, prediction: ClipPrediction) -> list[int]:
        """Matches a window with the open tracks by embeddings: see ``Tracker.add``."""
        embeddings = instance_embeddings(prediction, 'QueryLinker')
        scores = to_numpy(as_float(prediction.scores))
        logits = prediction.masks.maps()
        kept = self.instances.kept(logits, scores)
        tracks = [-1] * len(scores)
        for place, number in zip(kept, self._link(embeddings[kept], scores[kept])):
            tracks[place] = self.store.new_number() if number < 0 else number
        self.store.extend(tracks, frames, prediction, logits)
        for number, embedding in zip(tracks, embeddings):
            if number >= 0:
                self.store.open[number].remember(embedding, self.fuses)
        return tracks

    def _link(self, embeddings: Array, scores: np.ndarray) -> list[int]:
        """Returns the track that each instance continues, -1 for none.

        Args:
            embeddings: [N, C].
            scores: [N].
        """
        numbers = list(self.store.open)
        if not numbers or not len(embeddings):
            return [-1] * len(embeddings)
        known = self.store.embeddings(numbers)
        similarity = self.similarity(known, embeddings)
        values = to_numpy(where(cosine(known, embeddings) > self.min_cosine, similarity))
        if self.assignment == 'best_sum':
            rows = assign(values, self.min_similarity)
        else:
            order = np.argsort(-scores, kind='stable').tolist()
            num_windows = np.array([track.num_windows for track in self.store.open.values()], float)
            rows = assign_greedily(values, self.min_similarity, order, num_windows)
        return [numbers[row] if row >= 0 else -1 for row in rows]

    def close(self, before: int | None = None) -> list[FrameInstances]:
        """Returns the frames that no later window can change: see ``Tracker.close``."""
        return self.store.close(before)


def _choice(name: str, value: object, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InputError(
            f'{TRACKER_KEY}.{name}: must be {" or ".join(known)}, but got {value!r}'
            f'{did_you_mean(str(value), known)}'
        )
    return str(value)
