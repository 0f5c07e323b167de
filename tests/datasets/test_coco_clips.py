"""Pseudo clips of COCO's images, and several data sets as one."""

import json
import logging

import cv2
import numpy as np
import pytest
from builders import collect_without_resize, noise_frames, write_frames

from tevit_vis.datasets import CocoClipDataset, JointDataset, SeededIndex, build_dataset
from tevit_vis.datasets.categories import category_table
from tevit_vis.datasets.coco_clips import (
    motion_blur,
    random_colours,
    random_homography,
    random_view,
)
from tevit_vis.datasets.coco_to_ytvis import CATEGORY_MAPS
from tevit_vis.rle import decode_rle
from tevit_vis.utils.errors import InputError

COCO_CLASSES = {1: 'person', 17: 'cat', 74: 'mouse', 77: 'cell phone'}


@pytest.fixture
def coco(tmp_path):
    """Three images of 60x40: a person and a phone; a phone; 26 cats and a mouse."""
    write_frames(tmp_path, noise_frames(3, 40, 60))

    def entry(number, image, category, x, crowd=0):
        square = [[x, 5, x + 20, 5, x + 20, 25, x, 25]]
        return dict(id=number, image_id=image, category_id=category, bbox=[x, 5, 20, 20],
                    area=400, iscrowd=crowd, segmentation=square)  # fmt: skip

    content = dict(
        images=[dict(id=i, file_name=f'{i:05d}.png', height=40, width=60) for i in range(3)],
        categories=[dict(id=number, name=name) for number, name in COCO_CLASSES.items()],
        annotations=[entry(1, 0, 1, 10), entry(2, 0, 77, 20), entry(3, 1, 77, 5)]
        + [entry(4 + n, 2, 17, n) for n in range(26)]
        + [entry(40, 2, 74, 30), entry(41, 0, 1, 0, crowd=1)],
    )
    path = tmp_path / 'coco.json'
    path.write_text(json.dumps(content))
    return path


def build(coco, **options):
    arguments = dict(categories='ytvis2019', pipeline=collect_without_resize(), clip_length=4)
    return CocoClipDataset(str(coco), str(coco.parent), **{**arguments, **options})


def test_images_without_mapped_classes_or_too_full_are_left_out_and_counted(coco, caplog):
    with caplog.at_level(logging.INFO):
        dataset = build(coco)
    assert [video.file_names[0] for video in dataset.videos] == ['00000.png']
    assert '1 of 3 images are left (1 have no instance of the mapped classes, 1 more than 25)' in (
        caplog.text
    )
    assert '3 of 31 annotations are of 2 classes that the map does not have' in caplog.text
    assert len(build(coco, max_instances=26).videos) == 2


def test_the_official_map_calls_a_computer_mouse_a_fox(coco):
    dataset = build(coco, category_map='ytvis2019_official', max_instances=27)
    labels = dataset[SeededIndex(1, 0)].gt_labels[0]
    assert {dataset.CLASSES[label] for label in labels} <= {'cat', 'fox'}
    assert 'mouse' not in CATEGORY_MAPS['ytvis2019']
    assert 'mouse' not in CATEGORY_MAPS['ytvis2021']


@pytest.mark.parametrize('table', ['ytvis2019', 'ytvis2021'])
def test_maps_lead_to_classes_of_their_table(table):
    names = set(category_table(table).values())
    for name in (table, f'{table}_official'):
        assert set(CATEGORY_MAPS[name].values()) <= names


def test_a_clip_is_the_image_and_views_of_it_drawn_by_the_seed(coco):
    dataset = build(coco)
    clip, again, other = (
        dataset[SeededIndex(0, 5)],
        dataset[SeededIndex(0, 5)],
        dataset[SeededIndex(0, 6)],
    )
    assert (clip.img == again.img).all()
    assert not (clip.img == other.img).all()
    assert clip.img.shape[0] == 4
    frames = clip.img.numpy()
    assert len({frame.tobytes() for frame in frames}) == 4
    areas = [masks.masks.sum() for masks in clip.gt_masks]
    assert 400 in areas  # the image itself
    for labels, ids, boxes, masks in zip(
        clip.gt_labels, clip.gt_ids, clip.gt_bboxes, clip.gt_masks
    ):
        assert [dataset.CLASSES[label] for label in labels] == ['person'] * len(labels)
        assert len(labels) == len(ids) == len(boxes) == len(masks)
        for box, mask in zip(boxes.numpy(), masks.masks):
            y, x = mask.nonzero()
            assert np.allclose(box, [x.min(), y.min(), x.max() + 1, y.max() + 1])


def test_the_image_stands_anywhere_in_the_clip(coco):
    dataset = build(coco)
    places = set()
    original = dataset.pipeline.read(str(coco.parent / '00000.png'))['img']
    for seed in range(30):
        clip = dataset[SeededIndex(0, seed)]
        same = [np.array_equal(f, clip.img[0]) for f in clip.img]
        places |= {t for t, m in enumerate(clip.gt_masks) if m.masks.sum() == 400}
        assert len(same) == 4
    assert places == {0, 1, 2, 3}
    assert original.shape == (40, 60, 3)


def test_views_move_masks_with_their_pixels(coco):
    dataset = build(coco)
    instances = dataset.instances.of_frame(0, (40, 60))
    instances_mask = decode_rle(instances.masks[0])
    image = np.zeros((40, 60, 3), np.uint8)
    image[instances_mask] = 200
    for seed in range(20):
        view, moved = random_view(image, instances, np.random.default_rng(seed))
        bright = view.max(-1) > 120
        for mask in moved.masks[:1]:
            found = decode_rle(mask)
            union = (bright | found).sum()
            assert (bright & found).sum() / union > 0.75  # blur softens borders


def test_an_instance_that_leaves_the_view_is_not_in_the_frame(coco, monkeypatch):
    dataset = build(coco)
    instances = dataset.instances.of_frame(0, (40, 60))
    away = np.float64([[1, 0, 1000], [0, 1, 0], [0, 0, 1]])
    monkeypatch.setattr('tevit_vis.datasets.coco_clips.random_homography', lambda *_: away)
    _, moved = random_view(np.zeros((40, 60, 3), np.uint8), instances, np.random.default_rng(0))
    assert len(moved.labels) == len(moved.masks) == len(moved.boxes) == 0


def test_homographies_stay_within_their_bounds():
    for seed in range(50):
        matrix = random_homography(60, 40, np.random.default_rng(seed))
        x, y, w = matrix @ [29.5, 19.5, 1]
        assert abs(x / w - 29.5) < 30
        assert abs(y / w - 19.5) < 20
        assert np.linalg.det(matrix) > 0.2


def test_colours_change_within_their_bounds():
    colour = np.uint8([[[60, 120, 180]]])
    before = cv2.cvtColor(colour, cv2.COLOR_BGR2HSV_FULL)[0, 0].astype(int)
    changes = []
    for seed in range(200):
        view = random_colours(colour, np.random.default_rng(seed))
        changes.append(cv2.cvtColor(view, cv2.COLOR_BGR2HSV_FULL)[0, 0].astype(int) - before)
    hue, saturation, brightness = np.abs(changes).max(0)
    assert 4 <= hue <= 7  # 5, and what rounding to 8 bits makes of it
    assert 4 <= saturation <= 7
    assert 36 <= brightness <= 40


def test_a_quarter_of_the_views_is_blurred(coco, monkeypatch):
    instances = build(coco).instances.of_frame(0, (40, 60))
    blurred = []
    monkeypatch.setattr(
        'tevit_vis.datasets.coco_clips.motion_blur',
        lambda image, size, angle: blurred.append(size) or image,
    )
    for seed in range(200):
        random_view(np.zeros((40, 60, 3), np.uint8), instances, np.random.default_rng(seed))
    assert 30 < len(blurred) < 70
    assert set(blurred) == {9, 11}


def test_blur_keeps_the_brightness():
    image = np.full((40, 60, 3), 100, np.uint8)
    for angle in (0, 33, 90):
        assert np.abs(motion_blur(image, 9, angle).astype(int) - 100).max() <= 1


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(category_map='coco'), 'CocoClipDataset: category_map must be one of ytvis2019'),
        (
            dict(category_map='ytvis2021'),
            'category_map must lead to classes of its categories, but',
        ),
        (dict(max_instances=0), 'max_instances: must be a whole number >= 1'),
    ],
)
def test_maps_that_cannot_be_are_refused(coco, options, message):
    with pytest.raises(InputError, match=message):
        build(coco, **options)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(annotations=[5]), r'annotations\[0\] must be an object, but got 5'),
        (dict(annotations={}), 'must have images with 1 to 25 instances'),
        (dict(annotations='a'), '"annotations" must be a list'),
        (dict(annotations=[dict(image_id=0, category_id=[1])]), r'\[0\]: "category_id" must be a'),
        (
            dict(annotations=[dict(image_id={}, category_id=1)]),
            r'\[0\]: "image_id" must be a whole',
        ),
        (dict(images=5), 'must have "images"'),
        (dict(images=[dict(file_name='a.png')]), r'images\[0\]: "id" must be a whole number'),
    ],
)
def test_bad_coco_files_are_named(coco, change, message):
    coco.write_text(json.dumps({**json.loads(coco.read_text()), **change}))
    with pytest.raises(InputError, match=f'coco.json: .*{message}'):
        build(coco)


def test_a_file_without_mapped_classes_is_refused(coco):
    content = json.loads(coco.read_text())
    content['annotations'] = [e for e in content['annotations'] if e['category_id'] == 77]
    coco.write_text(json.dumps(content))
    with pytest.raises(InputError, match='must have images with 1 to 25 instances of mapped'):
        build(coco)


def video_config(train_files, **options):
    path, images = train_files
    return dict(type='YouTubeVISDataset', ann_file=str(path), img_prefix=str(images),
                pipeline=collect_without_resize(), clip_length=2, **options)  # fmt: skip


def test_joint_data_sets_pass_item_and_seed_on(train_files):
    part = video_config(train_files)
    joint = build_dataset(dict(type='JointDataset', datasets=[part, part, part]))
    single = build_dataset(part)
    assert len(joint) == 3 * len(single)
    assert len(joint.flag) == len(joint)
    assert len(joint.videos) == 6
    assert joint.CLASSES == ('cat', 'dog')
    for index in (0, len(single) - 1, len(single), 3 * len(single) - 1):
        ours, theirs = joint[SeededIndex(index, 7)], single[SeededIndex(index % len(single), 7)]
        assert (ours.img == theirs.img).all()
        assert ours.img_metas[0]['filename'] == theirs.img_metas[0]['filename']
    assert joint[1].img.shape[0] == 2


def test_joint_data_sets_must_have_clips_of_one_length(train_files):
    parts = [video_config(train_files), dict(video_config(train_files), clip_length=3)]
    with pytest.raises(InputError, match=r'clip_length must be the same in all, but is \[2, 3\]'):
        JointDataset(parts)


def test_joint_data_sets_must_agree_on_categories(train_files, coco):
    images = dict(type='CocoClipDataset', ann_file=str(coco), img_prefix=str(coco.parent),
                  categories='ytvis2019', pipeline=collect_without_resize())  # fmt: skip
    with pytest.raises(InputError, match='coco.json: categories must be those of .*train.json'):
        JointDataset([video_config(train_files), images])
    with pytest.raises(InputError, match='must name a data set'):
        JointDataset([])
