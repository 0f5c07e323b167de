"""The scores of a submission, by size, occlusion and category."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from terminaltables import AsciiTable

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
    """The scores of a submission; -1 where there is no ground truth.

    Args:
        categories: {id: name}, in the order of axis K.
        precision: [T, R, K, A, M].
        recall: [T, K, A, M].
        scores: [T, R, K, A, M], score at which each recall level is reached.
        ious: {(video id, category id): [D, G]}, predictions from best to worst.
        occlusion_precision: [T, R, K, O, M] of OVIS's groups, or None if the file does not have
            occlusion levels.
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
        """The 12 numbers of the official summary, and 6 more of OVIS's groups if there are any."""
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
            at_threshold = np.isclose(IOU_THRESHOLDS, threshold)
            stats[name] = _mean(precision[at_threshold][..., 0, -1])
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
        """Returns a table of the categories; a dash stands for a category without ground truth."""
        columns = ('AP', 'AP50', 'AP75', 'AR1', 'AR10')
        rows = [['category', *columns]]
        for category, stats in self.per_category.items():
            values = [f'{stats[key]:.4f}' if stats[key] > -1 else '-' for key in columns]
            rows.append([self.categories[category], *values])
        return str(AsciiTable(rows).table)

    def precision_recall(self) -> dict[int, dict[str, list[float]]]:
        """Returns the precision of each category at 101 levels of recall, for IoU 0.5 and 0.75.

        Categories without ground truth are left out.
        """
        places = {
            name: int(np.isclose(IOU_THRESHOLDS, threshold).nonzero()[0][0])
            for name, threshold in (('AP50', 0.5), ('AP75', 0.75))
        }
        return {
            category: {
                name: self.precision[t, :, k, 0, -1].round(4).tolist() for name, t in places.items()
            }
            for k, category in enumerate(self.categories)
            if self.precision[0, 0, k, 0, -1] > -1
        }

    def report(self) -> dict:
        """Returns all numbers as the content of a JSON file."""
        categories = {
            self.categories[category]: stats for category, stats in self.per_category.items()
        }
        return {'stats': self.stats, 'per_category': categories}


def _mean(values: np.ndarray) -> float:
    """Returns the mean of the values that are defined, or -1 if none is."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else -1.0
