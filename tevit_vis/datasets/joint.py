"""Joins data sets into one, and repeats items of a data set.

mmdet's ``ConcatDataset``, ``RepeatDataset`` and ``ClassBalancedDataset`` accept only plain numbers
as items, while our items also carry a seed. ``build_dataset`` accepts mmdet's configs of these
classes and builds ours.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmdet.datasets import DATASETS, ClassBalancedDataset
from mmdet.datasets import build_dataset as build_one

from tevit_vis.annotated_videos import Video
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_whole_number

from .loader import SeededIndex, TrainClip


def build_dataset(config: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Any:
    """Builds the data set of a config.

    Args:
        config: of one of our data sets, or one of mmdet's ways to combine them: a list of configs,
            a list as ``ann_file``, ``ConcatDataset``, ``RepeatDataset``, ``ClassBalancedDataset``.

    Raises:
        InputError: the config is of a wrapper that does not work with clips, or a key of it is
            missing or unknown.

    Example:
        >>> build_dataset([])
        Traceback (most recent call last):
        tevit_vis.utils.errors.InputError: data.train.datasets: must name a data set, but ...
    """
    if isinstance(config, (list, tuple)):
        return JointDataset(config)
    kind = config.get('type')
    if kind == 'ConcatDataset':
        _check_keys(config, 'datasets', optional=('separate_eval',))
        return JointDataset(config['datasets'])
    if kind == 'RepeatDataset':
        _check_keys(config, 'dataset', 'times')
        base = build_dataset(config['dataset'])
        times = check_whole_number('data.train.times', config['times'], least=1)
        return ResampledDataset(base, np.tile(np.arange(len(base)), times))
    if kind == 'ClassBalancedDataset':
        _check_keys(config, 'dataset', 'oversample_thr', optional=('filter_empty_gt',))
        base = build_dataset(config['dataset'])
        balanced = ClassBalancedDataset(
            base, config['oversample_thr'], config.get('filter_empty_gt', True)
        )
        return ResampledDataset(base, np.array(balanced.repeat_indices))
    if kind == 'MultiImageMixDataset':
        raise InputError(
            'data.train: must be videos as they are, but is a MultiImageMixDataset, whose '
            'transforms mix images: clips cannot be mixed'
        )
    if isinstance(config.get('ann_file'), (list, tuple)):
        return JointDataset(_one_per_file(config))
    return build_one(config)


def _check_keys(config: Mapping, *keys: str, optional: Sequence[str] = ()) -> None:
    given = set(config) - {'type'}
    if set(keys) - given or given - {*keys, *optional}:
        raise InputError(
            f'data.train: {config["type"]} must have {" and ".join(keys)}, '
            f'but has {", ".join(sorted(given)) or "nothing"}'
        )


def _one_per_file(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Splits a config with a list of ``ann_file``, and perhaps ``img_prefix``: one per file."""
    files, folders = config['ann_file'], config.get('img_prefix')
    if isinstance(folders, (list, tuple)) and len(folders) != len(files):
        raise InputError(
            f'data.train.img_prefix: must be one folder, or one for each of the {len(files)} '
            f'files of ann_file, but got {len(folders)}'
        )
    configs = []
    for index, file in enumerate(files):
        part = dict(copy.deepcopy(config), ann_file=file)
        if isinstance(folders, (list, tuple)):
            part['img_prefix'] = folders[index]
        configs.append(part)
    return configs


class ResampledDataset:
    """A data set that repeats some items of another one.

    Args:
        dataset: of training clips.
        items: [N] indices into it.
    """

    def __init__(self, dataset: Any, items: np.ndarray) -> None:
        self.dataset = dataset
        self.items = items
        self.flag = dataset.flag[items]

    def __getattr__(self, name: str) -> Any:
        """Returns any other attribute, such as ``CLASSES``, of the data set that is wrapped."""
        if name == 'dataset':  # not set yet while pickle restores the object
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, item: int | SeededIndex) -> TrainClip:
        """A training clip, see ``YouTubeVISDataset``."""
        return self.dataset[_with_index(item, int(self.items[_index_of(item)]))]

    def get_cat_ids(self, item: int) -> list[int]:
        """Labels of the key frame of an item."""
        return self.dataset.get_cat_ids(int(self.items[item]))


def _index_of(item: int | SeededIndex) -> int:
    return item.index if isinstance(item, SeededIndex) else item


def _with_index(item: int | SeededIndex, index: int) -> int | SeededIndex:
    """Returns the item with another index and the same seed."""
    return SeededIndex(index, item.seed) if isinstance(item, SeededIndex) else index


@DATASETS.register_module()
class JointDataset:
    """Training clips of several data sets, one after the other.

    Args:
        datasets: configs of the data sets.

    Raises:
        InputError: there is none, or their categories or clip lengths differ.
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
        self.clip_length = lengths[0]
        self.ends = np.cumsum([len(dataset) for dataset in self.datasets])  # items up to each end
        self.flag = np.concatenate([dataset.flag for dataset in self.datasets])

    @property
    def CLASSES(self) -> tuple[str, ...]:  # noqa: N802  (mmdet's name)
        """Class names in label order."""
        return tuple(self.categories.values())

    @property
    def ann_file(self) -> str:
        """The files of all data sets, for messages."""
        return ', '.join(dataset.ann_file for dataset in self.datasets)

    @property
    def videos(self) -> list[Video]:
        """The videos of all data sets."""
        return [video for dataset in self.datasets for video in dataset.videos]

    def __len__(self) -> int:
        return int(self.ends[-1])

    def _locate(self, index: int) -> tuple[Any, int]:
        """Returns the data set of an item, and the index of the item there."""
        dataset_index = int(np.searchsorted(self.ends, index, side='right'))
        return self.datasets[dataset_index], index - (
            int(self.ends[dataset_index - 1]) if dataset_index else 0
        )

    def __getitem__(self, item: int | SeededIndex) -> TrainClip:
        """A training clip, see ``YouTubeVISDataset``."""
        dataset, index = self._locate(_index_of(item))
        return dataset[_with_index(item, index)]

    def get_cat_ids(self, item: int) -> list[int]:
        """Labels of the key frame of an item."""
        dataset, index = self._locate(item)
        return dataset.get_cat_ids(index)
