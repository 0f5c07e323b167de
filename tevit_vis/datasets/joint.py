"""Several data sets as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmdet.datasets import DATASETS, build_dataset

from tevit_vis.annotations import Video
from tevit_vis.utils.errors import InputError

from .loader import Draw, TrainClip


@DATASETS.register_module()
class JointDataset:
    """Training clips of several data sets, one after the other.

    mmdet's and torch's ``ConcatDataset`` take plain numbers for items; ours bring a seed.

    Args:
        datasets: their configs.

    Raises:
        InputError: none, or some with other categories.
    """

    def __init__(self, datasets: Sequence[dict]) -> None:
        if not datasets:
            raise InputError('data.train.datasets: must name a data set, but there is none')
        self.datasets = [build_dataset(dataset) for dataset in datasets]
        self.categories = self.datasets[0].categories
        for dataset in self.datasets[1:]:
            if dataset.categories != self.categories:
                raise InputError(
                    f'{dataset.ann_file}: categories must be those of '
                    f'{self.datasets[0].ann_file}, but differ'
                )
        lengths = [dataset.clip_length for dataset in self.datasets]
        if len(set(lengths)) > 1:
            raise InputError(
                f'data.train.datasets: clip_length must be the same in all, but is {lengths}'
            )
        self.ends = np.cumsum([len(dataset) for dataset in self.datasets])
        self.flag = np.concatenate([dataset.flag for dataset in self.datasets])

    @property
    def CLASSES(self) -> tuple[str, ...]:  # noqa: N802  (mmdet's name)
        """Class names in label order."""
        return tuple(self.categories.values())

    @property
    def videos(self) -> list[Video]:
        """Of all data sets."""
        return [video for dataset in self.datasets for video in dataset.videos]

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, item: int | Draw) -> TrainClip:
        """A training clip, see ``YouTubeVISDataset``."""
        index = item.index if isinstance(item, Draw) else item
        place = int(np.searchsorted(self.ends, index, side='right'))
        index -= int(self.ends[place - 1]) if place else 0
        return self.datasets[place][Draw(index, item.seed) if isinstance(item, Draw) else index]
