"""Batches of training clips: which clips, in which order, and how they are collated.

A batch depends on the seed of the run and the number of the iteration only: not on the number of
workers and processes, nor on where a run was resumed.

Letters: B clips, T frames, G instances of a frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmdet.core import BitmapMasks
from torch.utils.data import DataLoader, Sampler

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.seeds import mixed_seed

from .frames import TrainFrame


class SeededIndex(NamedTuple):
    """The index of an item of a data set, and the seed for everything random about the item."""

    index: int
    seed: int


@dataclass(frozen=True)
class TrainClip:
    """A training clip of T frames, prepared for the network.

    Args:
        img: [T, 3, H, W], normalised and padded.
        img_metas: T dicts.
        gt_bboxes: T times [G, 4], x1 y1 x2 y2 in pixels of the network input.
        gt_labels: T times [G].
        gt_masks: T times G masks.
        gt_ids: T times [G], equal for an instance in all frames.
    """

    img: torch.Tensor
    img_metas: list[dict]
    gt_bboxes: list[torch.Tensor]
    gt_labels: list[torch.Tensor]
    gt_masks: list[BitmapMasks]
    gt_ids: list[torch.Tensor]

    @classmethod
    def from_frames(cls, frames: Sequence[TrainFrame]) -> TrainClip:
        """Returns a clip of frames, in the order in which the network sees them.

        Raises:
            InputError: the frames differ in size.
        """
        img, metas, boxes, labels, masks, ids = zip(*frames)
        if len({frame.shape for frame in img}) > 1:
            sizes = ', '.join(f'{frame.shape[2]}x{frame.shape[1]}' for frame in img)
            raise InputError(
                'data.train.pipeline: transforms must give all frames of a clip one size, '
                f'but gave {sizes} to those of {metas[0].get("filename")}'
            )
        return cls(torch.stack(img), list(metas), list(boxes), list(labels), list(masks), list(ids))


def collate_clips(clips: Sequence[TrainClip]) -> dict:
    """Returns the arguments of ``ClipDetector.forward_train``.

    Frames are padded to the height and width of the largest clip.
    """
    height = max(clip.img.shape[2] for clip in clips)
    width = max(clip.img.shape[3] for clip in clips)
    padded = [
        F.pad(clip.img, (0, width - clip.img.shape[3], 0, height - clip.img.shape[2]))
        for clip in clips
    ]
    names = ('img_metas', 'gt_bboxes', 'gt_labels', 'gt_masks', 'gt_ids')
    lists = {name: [getattr(clip, name) for clip in clips] for name in names}
    return dict(img=torch.stack(padded), **lists)


class ClipBatchSampler(Sampler):
    """Yields endless batches of ``SeededIndex``; each epoch goes through all items in a new order.

    The clips of a batch belong to one orientation group, so that little is padded. Each process
    takes its part of one global batch: two processes with one clip each see the same clips as one
    process with two.

    Args:
        groups: orientation group of each item.
        batch_size: clips per batch of this process.
        seed: of the run.
        rank: number of this process.
        world_size: number of processes.

    Example:
        >>> sampler = ClipBatchSampler(np.zeros(4), batch_size=2, seed=0)
        >>> sorted(sampler.epoch_batches(0).ravel().tolist())
        [0, 1, 2, 3]
    """

    def __init__(
        self,
        groups: np.ndarray,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.groups = np.asarray(groups)
        self.batch_size = batch_size
        self.seed = seed
        self.rank, self.world_size = rank, world_size
        self.start = 0  # the first iteration; set when a run is resumed
        global_batch_size = batch_size * world_size
        self.batches_per_epoch = sum(
            -(-int(count) // global_batch_size)
            for count in np.unique(self.groups, return_counts=True)[1]
        )

    def __len__(self) -> int:
        return self.batches_per_epoch

    def __iter__(self) -> Iterator[list[SeededIndex]]:
        iteration = self.start
        while True:
            epoch, first_batch = divmod(iteration, self.batches_per_epoch)
            for batch in self.epoch_batches(epoch)[first_batch:]:
                first_slot = self.rank * self.batch_size
                own_slots = range(first_slot, first_slot + self.batch_size)
                yield [
                    SeededIndex(int(batch[slot]), mixed_seed(self.seed, iteration, slot))
                    for slot in own_slots
                ]
                iteration += 1

    def epoch_batches(self, epoch: int) -> np.ndarray:
        """Returns the items of an epoch's global batches: [batches, batch_size * world_size]."""
        rng = np.random.default_rng([self.seed, epoch])
        global_batch_size = self.batch_size * self.world_size
        batches = []
        for group in np.unique(self.groups):
            items = rng.permutation(np.flatnonzero(self.groups == group))
            # The last batch is filled up with the first items.
            filled = np.resize(items, -(-len(items) // global_batch_size) * global_batch_size)
            batches.append(filled.reshape(-1, global_batch_size))
        return rng.permutation(np.concatenate(batches))


def build_train_loader(
    dataset,
    samples_per_gpu: int,
    workers_per_gpu: int,
    seed: int,
    rank: int,
    world_size: int,
    pin_memory: bool = False,
) -> DataLoader:
    """Returns an endless loader of training batches.

    Args:
        dataset: maps a ``SeededIndex`` to a ``TrainClip``; its ``flag`` is the orientation group
            of each item.
        samples_per_gpu: clips per batch of this process.
        workers_per_gpu: processes that load clips; 0 loads in this process.
        seed: of the run.
        rank: number of this process.
        world_size: number of processes.
        pin_memory: whether batches are put into pinned memory, from which a GPU copies while it
            computes.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from tevit_vis.data_tools.synthetic_files import make_synthetic
        >>> from tevit_vis.data_tools.synthetic_world import SyntheticWorld
        >>> from tevit_vis.datasets import build_dataset
        >>> from tevit_vis.utils.config import load_config
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = make_synthetic(Path(folder), 2, seed=0, world=SyntheticWorld())
        ...     files = dict(zip(('ann_file', 'img_prefix'), map(str, made)))
        ...     train = dict(load_config('synthetic/tevit_tiny').data.train, **files)
        ...     dataset = build_dataset(train)
        ...     loader = build_train_loader(dataset, 2, 0, seed=0, rank=0, world_size=1)
        ...     batch = next(iter(loader))
        >>> batch['img'].shape  # two clips of four frames
        torch.Size([2, 4, 3, 96, 160])
    """
    sampler = ClipBatchSampler(dataset.flag, samples_per_gpu, seed, rank, world_size)
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers_per_gpu,
        collate_fn=collate_clips,
        worker_init_fn=_limit_worker_threads,
        pin_memory=pin_memory,
        multiprocessing_context='fork' if workers_per_gpu else None,
    )


def _limit_worker_threads(worker: int) -> None:
    """Limits a worker to one thread, since the workers already share the cores."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
