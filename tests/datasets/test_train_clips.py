"""YouTubeVISDataset in training: annotations, key frames, clips."""

import json

import numpy as np
import pytest
from builders import annotation, collect_without_resize, moving_square

from tevit_vis.datasets import SeededIndex, YouTubeVISDataset
from tevit_vis.rle import decode_rle
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError

COLLECT = collect_without_resize()


def changed(train_files, change):
    """The data set's content, changed."""
    path, images = train_files
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return str(path), str(images)


def build(train_files, pipeline=COLLECT, **options):
    return YouTubeVISDataset(*map(str, train_files), pipeline, **options)


def test_every_annotated_frame_is_a_key_frame(train_files):
    dataset = build(train_files, clip_length=2)
    assert dataset.key_frames.tolist() == [0, 1, 2, 3, 0, 1]
    assert dataset.first_item.tolist() == [0, 4, 6]
    assert dataset.CLASSES == ('cat', 'dog')


def test_a_clip_holds_boxes_labels_masks_and_ids_of_its_frames(train_files):
    flip = [
        dict(step, flip_ratio=0.0) if step['type'] == 'RandomFlip' else step for step in COLLECT
    ]
    dataset = build(train_files, flip, clip_length=4)
    clip = dataset[SeededIndex(3, seed=1)]
    assert clip.img.shape == (4, 3, 64, 64)  # padded to 32
    two = [t for t in range(4) if len(clip.gt_ids[t]) == 2]
    assert 0 in two  # the key frame, the last of the video
    assert len(two) == 2  # the second instance is seen in two frames
    assert clip.gt_labels[0].tolist() == [0, 1]
    assert clip.gt_bboxes[0].tolist() == [[14, 10, 34, 30], [42, 10, 62, 30]]
    assert clip.gt_ids[0].tolist() == [0, 1]
    assert clip.gt_masks[0].masks.shape == (2, 64, 64)
    assert clip.gt_masks[0].masks.sum((1, 2)).tolist() == [400, 400]
    assert all(ids[0] == 0 for ids in clip.gt_ids)
    assert clip.img_metas[0]['img_shape'] == (48, 64, 3)


def test_all_frames_of_a_clip_get_the_same_transforms_and_seeds_decide(train_files):
    dataset = build(
        train_files, load_config('tevit/tevit_msgshift').data.train.pipeline, clip_length=4
    )
    shapes, flips = set(), set()
    for seed in range(20):
        clip = dataset[SeededIndex(0, seed)]
        assert len({(meta['img_shape'], meta['flip']) for meta in clip.img_metas}) == 1
        shapes.add(clip.img_metas[0]['img_shape'])
        flips.add(clip.img_metas[0]['flip'])
        again = dataset[SeededIndex(0, seed)]
        assert (again.img == clip.img).all()
    assert len(shapes) > 5
    assert flips == {True, False}


def test_global_random_state_is_left_alone(train_files):
    dataset = build(train_files, clip_length=2)
    np.random.seed(0)
    expected = np.random.random(2).tolist()
    np.random.seed(0)
    found = [np.random.random()]
    dataset[SeededIndex(0, seed=5)]
    found.append(np.random.random())
    assert found == expected


@pytest.mark.parametrize('with_extras', [True, False])
def test_rle_of_both_kinds_and_polygons_give_the_same_instances(train_files, with_extras):
    polygon = [[14, 10, 34, 10, 34, 30, 14, 30]]
    by_column = moving_square(4, (48, 64), 2)[3].flatten('F')
    counts = np.diff(np.flatnonzero(np.diff(np.concatenate([[2], by_column, [2]])))).tolist()

    def change(content):
        entry = content['annotations'][0]
        compressed = entry['segmentations'][3]
        entry['segmentations'] = [{'size': [48, 64], 'counts': counts}, polygon, compressed, None]
        content['annotations'] = [entry]
        for key in () if with_extras else ('areas', 'bboxes', 'iscrowd', 'id'):
            entry.pop(key)
        if with_extras:
            entry.update(areas=[400] * 4, bboxes=[[14, 10, 20, 20]] * 4)

    dataset = build(changed(train_files, change))
    assert dataset.key_frames.tolist() == [0, 1, 2]
    frames = [dataset.instances.of_frame(t, (48, 64)) for t in range(3)]
    masks = [decode_rle(frame.masks[0]) for frame in frames]
    assert (masks[0] == masks[1]).all()
    assert (masks[0] == masks[2]).all()
    assert all(frame.boxes.tolist() == [[14, 10, 34, 30]] for frame in frames)


def test_masks_of_no_area_or_thinner_than_a_pixel_are_left_out(train_files):
    def change(content):
        first, late, _ = content['annotations']
        first['areas'] = [0, 400, 0, None]  # null: the mask's own
        first['bboxes'][1] = [6, 10, 0.5, 20]
        late['segmentations'] = [None] * 4

    dataset = build(changed(train_files, change))
    assert dataset.key_frames.tolist() == [3, 0, 1]


def test_crowds_are_no_instances(train_files):
    def change(content):
        content['annotations'][0]['iscrowd'] = 1

    dataset = build(changed(train_files, change), clip_length=1)
    assert dataset.key_frames.tolist() == [2, 3, 0, 1]
    assert dataset[SeededIndex(0, 0)].gt_labels[0].tolist() == [1]


def test_a_frame_without_instance_can_be_in_a_clip(train_files):
    def change(content):
        content['annotations'] = content['annotations'][1:2]

    files = changed(train_files, change)
    dataset = build(files, clip_length=4, annotated_only=False)
    assert len(dataset) == 6
    clip = dataset[SeededIndex(3, 0)]
    assert sorted(len(boxes) for boxes in clip.gt_bboxes) == [0, 0, 1, 1]
    assert all(boxes.shape[1] == 4 for boxes in clip.gt_bboxes)


CROP = dict(type='RandomCrop', crop_size=(30, 30), allow_negative_crop=True)
FILTER = dict(type='FilterAnnotations', min_gt_bbox_wh=(5, 5), by_box=True, keep_empty=False)


def test_transforms_that_drop_instances_keep_labels_and_ids_in_step(train_files):
    pipeline = [*COLLECT[:2], CROP, FILTER, *COLLECT[2:]]
    dataset = build(train_files, pipeline, clip_length=4)
    seen = set()
    for seed in range(40):
        clip = dataset[SeededIndex(3, seed)]
        for t in range(4):
            count = len(clip.gt_bboxes[t])
            found = (len(clip.gt_labels[t]), len(clip.gt_ids[t]), len(clip.gt_masks[t].masks))
            assert found == (count,) * 3
            seen.add(count)
            # In this video, the instance with id 0 is a cat (label 0) and that with id 1 a dog.
            assert clip.gt_ids[t].tolist() == clip.gt_labels[t].tolist()
    assert seen == {0, 1, 2}


def test_transforms_that_refuse_frames_or_break_sizes_are_named(train_files):
    dropping = dict(CROP, crop_size=(8, 8), allow_negative_crop=False)
    dataset = build(train_files, [*COLLECT[:2], dropping, *COLLECT[2:]], clip_length=4)
    with pytest.raises(InputError, match='pipeline must keep every frame, but dropped this one'):
        list(map(dataset.load_clip, (SeededIndex(0, seed) for seed in range(20))))
    uneven = dict(type='MinIoURandomCrop', min_ious=(0.9,), min_crop_size=0.3)
    dataset = build(train_files, [*COLLECT[:2], uneven, *COLLECT[2:]], clip_length=4)
    with pytest.raises(InputError, match='give all frames of a clip one size, but gave'):
        list(map(dataset.load_clip, (SeededIndex(0, seed) for seed in range(40))))


def test_a_table_that_contradicts_the_file_is_refused(train_files):
    with pytest.raises(InputError, match=r'category 3 \(cat\) must be that of ytvis2019, lizard'):
        build(train_files, categories='ytvis2019')


@pytest.mark.parametrize('annotations', [None, []])
def test_no_instance_at_all_still_gives_clips(train_files, annotations):
    dataset = build(changed(train_files, lambda content: content.update(annotations=annotations)))
    assert len(dataset) == 6
    assert [len(labels) for labels in dataset[SeededIndex(5, 0)].gt_labels] == [0] * 5


def entry_change(**fields):
    return lambda content: content['annotations'][1].update(fields)


RLE = annotation(1, 5, 3, moving_square(4, (48, 64), 2))['segmentations']
SHORT = [RLE[0], {'size': [48, 64], 'counts': [10, 20]}, None, None]
SMALL = annotation(1, 5, 3, moving_square(4, (40, 64), 2))['segmentations']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (entry_change(category_id=4), r'annotations\[1\]: "category_id" must be one of .* got 4'),
        (entry_change(video_id=9), r'annotations\[1\]: "video_id" must be a video .* got 9'),
        (entry_change(id=1), r'annotations\[1\]: "id" must be unique, but 1 is not'),
        (entry_change(segmentations=RLE[:3]), 'each of the 4 frames of video 5, but got 3'),
        (entry_change(segmentations=RLE * 2), 'each of the 4 frames of video 5, but got 8'),
        (entry_change(segmentations=SMALL), r'segmentations\[0\] must have the size .*\[40, 64\]'),
        (entry_change(segmentations=[7] * 4), r'segmentations\[0\] must be RLE, polygons or null'),
        (entry_change(segmentations=SHORT), r'segmentations\[1\] must have runs for the 64x48 pix'),
        (entry_change(areas=['x'] * 4), r"areas\[0\] must be a number or null, but got 'x'"),
        (entry_change(bboxes=[[1, 2, 3]] * 4), r'bboxes\[0\] must be 4 numbers or null'),
        (entry_change(category_id=[1]), r'"category_id" must be one of the categories'),
        (
            lambda c: c['categories'].append(dict(id=3, name='x')),
            r'categories\[2\]: "id" must be un',
        ),
        (entry_change(areas=[1]), '"areas" must have one entry for each of the 4 frames'),
        (lambda c: c.update(annotations={}, x=1) or c.update(annotations='x'), 'must be a list'),
        (lambda c: c['annotations'].append(3), r'annotations\[3\] must be an object, but got 3'),
        (
            lambda c: c['videos'][1].update(file_names=['x/0.png', 'x/1.png']),
            'x/0.png is not there',
        ),
        (
            lambda c: c['videos'][1].update(file_names=[]),
            r'videos\[1\]: "file_names" must be a list',
        ),
    ],
)
def test_bad_annotations_name_file_and_entry(train_files, change, message):
    files = changed(train_files, change)
    with pytest.raises(InputError, match=message) as error:
        build(files)
    assert 'train.json' in str(error.value)


def test_a_frame_of_another_size_is_named(train_files):
    files = changed(
        train_files, lambda c: c['videos'][1].update(height=40) or c['annotations'].pop()
    )
    dataset = build(files, annotated_only=False, clip_length=1)
    with pytest.raises(InputError, match='frame 1 of video 6 must be 64x40 .* but it is 64x48'):
        dataset[SeededIndex(5, 0)]


def test_a_pipeline_that_drops_what_training_needs_is_refused(train_files):
    collect = dict(COLLECT[-1], keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks'])
    dataset = build(train_files, [*COLLECT[:-1], collect])
    with pytest.raises(InputError, match='must collect .* but gt_ids is not there'):
        dataset[0]


def test_in_test_mode_an_item_is_a_video(train_files):
    dataset = build(
        train_files, load_config('tevit/tevit_msgshift').data.test.pipeline, test_mode=True
    )
    assert len(dataset) == 2
    video = dataset[1]
    assert video['img'].shape[:2] == (2, 3)
    assert len(video['img_metas']) == 2


def test_evaluate_scores_perfect_results_with_one(train_files):
    path, _ = train_files
    dataset = build(train_files)
    entries = json.loads(path.read_text())['annotations']
    results = [dict(entry, score=0.5) for entry in entries]
    scores = dataset.evaluate(results)
    assert scores['segm_AP'] == pytest.approx(1)
    assert dataset.evaluate([])['segm_AP50'] == 0
    with pytest.raises(InputError, match="metric: must be 'segm', but got 'bbox'"):
        dataset.evaluate(results, 'bbox')
