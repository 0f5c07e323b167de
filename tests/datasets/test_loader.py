import numpy as np
import pytest
from builders import collect_without_resize

from tevit_vis.datasets import YouTubeVISDataset, build_train_loader
from tevit_vis.datasets.loader import ClipBatchSampler


def batches(sampler, count):
    iterator = iter(sampler)
    return [next(iterator) for _ in range(count)]


def test_an_epoch_takes_every_item_of_both_groups_once():
    groups = np.array([0] * 6 + [1] * 4)
    sampler = ClipBatchSampler(groups, batch_size=2, seed=3)
    epoch = batches(sampler, 5)
    assert sorted(draw.index for batch in epoch for draw in batch) == list(range(10))
    assert all(len({groups[draw.index] for draw in batch}) == 1 for batch in epoch)
    following = [draw.index for batch in batches(sampler, 10)[5:] for draw in batch]
    assert sorted(following) == list(range(10))
    assert following != [draw.index for batch in epoch for draw in batch]


def test_a_group_that_does_not_fill_its_last_batch_repeats_items():
    sampler = ClipBatchSampler(np.zeros(1), batch_size=4, seed=0)
    (batch,) = batches(sampler, 1)
    assert [draw.index for draw in batch] == [0] * 4
    assert len({draw.seed for draw in batch}) == 4  # the same item, drawn differently


def test_a_run_taken_up_again_goes_on_with_the_same_batches():
    groups = np.arange(7) % 2
    straight = batches(ClipBatchSampler(groups, 2, seed=1), 9)
    resumed = ClipBatchSampler(groups, 2, seed=1)
    resumed.start = 5
    assert batches(resumed, 4) == straight[5:]
    assert batches(ClipBatchSampler(groups, 2, seed=2), 9) != straight


def test_processes_share_the_batches_of_one():
    groups = np.zeros(8)
    alone = batches(ClipBatchSampler(groups, 4, seed=1), 4)
    parts = [batches(ClipBatchSampler(groups, 2, 1, rank, world_size=2), 4) for rank in (0, 1)]
    assert [first + second for first, second in zip(*parts)] == alone


@pytest.mark.parametrize('workers', [0, 2])
def test_batches_do_not_depend_on_the_number_of_workers(train_files, workers):
    dataset = YouTubeVISDataset(*map(str, train_files), collect_without_resize(), clip_length=3)
    loader = build_train_loader(dataset, 2, workers, seed=4, rank=0, world_size=1)
    batch = next(iter(loader))
    assert batch['img'].shape == (2, 3, 3, 64, 64)
    assert [len(metas) for metas in batch['img_metas']] == [3, 3]
    expected = next(iter(build_train_loader(dataset, 2, 0, seed=4, rank=0, world_size=1)))
    assert (batch['img'] == expected['img']).all()
    assert str(batch['gt_bboxes']) == str(expected['gt_bboxes'])


def test_clips_of_different_sizes_are_padded_to_the_largest(train_files):
    from tevit_vis.datasets.loader import collate_clips

    dataset = YouTubeVISDataset(*map(str, train_files), collect_without_resize(), clip_length=2)
    wide = [
        dict(step, size_divisor=96) if step['type'] == 'Pad' else step
        for step in collect_without_resize()
    ]
    other = YouTubeVISDataset(*map(str, train_files), wide, clip_length=2)
    batch = collate_clips([dataset[0], other[0]])
    assert batch['img'].shape == (2, 2, 3, 96, 96)
    assert (batch['img'][0, :, :, 64:] == 0).all()
