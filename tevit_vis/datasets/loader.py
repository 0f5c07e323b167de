"""Batches of training clips: which clips, in which order, and how they are put together.

The seed of a run and the number of an iteration decide on a batch, whatever the number of workers
and processes, and wherever a run was taken up again.

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
    """An item of a data set together with the seed of all that is random about it."""

    index: int
    seed: int


@dataclass(frozen=True)
class TrainClip:
    """A clip of T frames as the network takes it.

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
    def of_frames(cls, frames: Sequence[TrainFrame]) -> TrainClip:
        """Frames in the order in which the network sees them.

        Raises:
            InputError: they differ in size.
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
    """The arguments of ``ClipDetector.forward_train``; frames are padded to the largest clip's."""
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
    """Endless batches of ``SeededIndex``; each epoch takes every item once, in a new order.

    Clips of a batch are of one orientation group, so that little is padded. Processes take turns
    in one common batch: two processes with one clip see what one process with two clips sees.

    Args:
        groups: orientation group of each item.
        batch_size: clips of a batch of this process.
        seed: of the run.
        rank, world_size: this process and the number of all.
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
        self.start = 0  # the iteration that begins: set when a run is taken up again
        common = batch_size * world_size
        self.batches_per_epoch = sum(
            -(-int(count) // common) for count in np.unique(self.groups, return_counts=True)[1]
        )

    def __len__(self) -> int:
        return self.batches_per_epoch

    def __iter__(self) -> Iterator[list[SeededIndex]]:
        iteration = self.start
        while True:
            epoch, place = divmod(iteration, self.batches_per_epoch)
            for batch in self.epoch_batches(epoch)[place:]:
                first = self.rank * self.batch_size
                mine = range(first, first + self.batch_size)
                yield [
                    SeededIndex(int(batch[s]), mixed_seed(self.seed, iteration, s)) for s in mine
                ]
                iteration += 1

    def epoch_batches(self, epoch: int) -> np.ndarray:
        """Items of an epoch's common batches: [batches, batch_size * world_size]."""
        rng = np.random.default_rng([self.seed, epoch])
        common = self.batch_size * self.world_size
        batches = []
        for group in np.unique(self.groups):
            items = rng.permutation(np.flatnonzero(self.groups == group))
            # The last batch is filled up with the first items.
            filled = np.resize(items, -(-len(items) // common) * common)
            batches.append(filled.reshape(-1, common))
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
    """An endless loader of training batches.

    Args:
        dataset: of ``SeededIndex -> TrainClip``, with orientation groups as ``flag``.
        samples_per_gpu: clips of a batch of this process.
        workers_per_gpu: processes that load clips; 0 loads in this process.
        seed: of the run.
        rank, world_size: this process and the number of all.
        pin_memory: for a GPU, which then copies batches while it computes.
    """
    sampler = ClipBatchSampler(dataset.flag, samples_per_gpu, seed, rank, world_size)
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers_per_gpu,
        collate_fn=collate_clips,
        worker_init_fn=_quiet_worker,
        pin_memory=pin_memory,
        multiprocessing_context='fork' if workers_per_gpu else None,
    )


def _quiet_worker(worker: int) -> None:
    """One thread per worker: they already share the cores."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
