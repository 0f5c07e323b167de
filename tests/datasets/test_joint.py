"""mmdet's wrappers around our data sets: they train, and every item keeps its seed."""

import json
from pathlib import Path

import numpy as np
import pytest
from builders import collect_without_resize

from tevit_vis.datasets import SeededIndex, build_dataset, build_train_loader
from tevit_vis.utils.errors import InputError


@pytest.fixture
def one(train_files):
    annotations, images = train_files
    return dict(
        type='YouTubeVISDataset',
        ann_file=str(annotations),
        img_prefix=str(images),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            *collect_without_resize(),
        ],
        clip_length=2,
    )


def same(ours, theirs):
    assert (ours.img == theirs.img).all()
    assert [m['filename'] for m in ours.img_metas] == [m['filename'] for m in theirs.img_metas]


def test_a_repeated_data_set_draws_anew_each_time(one):
    single = build_dataset(one)
    repeated = build_dataset(dict(type='RepeatDataset', times=3, dataset=one))
    assert len(repeated) == 3 * len(single) == 18
    assert repeated.CLASSES == single.CLASSES
    assert (repeated.flag == np.tile(single.flag, 3)).all()
    for number in (0, 5, 6, 17):
        same(repeated[SeededIndex(number, 7)], single[SeededIndex(number % 6, 7)])


def test_a_list_and_a_concat_dataset_are_joint(one):
    single = build_dataset(one)
    for joint in (
        build_dataset([one, one]),
        build_dataset(dict(type='ConcatDataset', datasets=[one, one])),
        build_dataset(dict(one, ann_file=[one['ann_file']] * 2)),
        build_dataset(
            dict(one, ann_file=[one['ann_file']] * 2, img_prefix=[one['img_prefix']] * 2)
        ),
    ):
        assert len(joint) == 12
        same(joint[SeededIndex(8, 3)], single[SeededIndex(2, 3)])


def test_rare_categories_come_more_often(one):
    single = build_dataset(one)
    # Frames: cat in four, dog in the last two of those and in the two of the second video.
    assert [single.get_cat_ids(n) for n in range(6)] == [[0], [0], [0, 1], [0, 1], [1], [1]]
    path = Path(one['ann_file'])
    content = json.loads(path.read_text())
    content['annotations'].pop(1)  # now dog is in two of six frames
    path.write_text(json.dumps(content))
    balanced = build_dataset(dict(type='ClassBalancedDataset', oversample_thr=1.0, dataset=one))
    # Repeat factors sqrt(1 / (4 / 6)) and sqrt(1 / (2 / 6)), rounded up.
    assert balanced.items.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    nested = build_dataset(
        dict(
            type='ClassBalancedDataset',
            oversample_thr=0.5,
            dataset=dict(type='RepeatDataset', times=2, dataset=[one]),
        )
    )
    assert nested.items.tolist() == [0, 1, 2, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 10, 11, 11]
    same(nested[SeededIndex(5, 1)], build_dataset(one)[SeededIndex(4, 1)])


@pytest.mark.parametrize('workers', [0, 1])
def test_batches_come_from_wrapped_data_sets(one, workers):
    wrapped = build_dataset(dict(type='RepeatDataset', times=2, dataset=[one, one]))
    loader = build_train_loader(wrapped, 2, workers, seed=1, rank=0, world_size=1)
    batch = next(iter(loader))
    assert batch['img'].shape == (2, 2, 3, 64, 64)  # padded to 32


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(type='RepeatDataset'), 'RepeatDataset must have dataset and times, but has'),
        (dict(type='RepeatDataset', times=0), 'data.train.times: must be a whole number >= 1'),
        (dict(type='MultiImageMixDataset', pipeline=[]), 'clips cannot be mixed'),
        (dict(type='ConcatDataset'), 'ConcatDataset must have datasets'),
    ],
)
def test_wrappers_that_cannot_be_are_named(one, changes, words):
    with pytest.raises(InputError, match=words):
        build_dataset(dict(dataset=one, **changes))


def test_as_many_folders_as_files(one):
    with pytest.raises(InputError, match='one for each of the 2 files of ann_file, but got 1'):
        build_dataset(dict(one, ann_file=[one['ann_file']] * 2, img_prefix=[one['img_prefix']]))
