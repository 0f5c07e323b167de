"""What training, testing, scoring and the check read alike; what is said of odd data sets."""

import json
import logging

import cv2
import numpy as np
import pytest
from builders import collect_without_resize
from PIL import Image

from tevit_vis.data_tools.checks import DatasetCheck
from tevit_vis.datasets import SeededIndex, YouTubeVISDataset
from tevit_vis.evaluation.tubes import parse_ground_truth
from tevit_vis.utils.errors import InputError


def build(path, images, **options):
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
        *collect_without_resize(),
    ]
    if options.get('test_mode'):
        keys = ['filename', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor']
        pipeline = [
            dict(type='LoadImageFromFile'),
            dict(type='DefaultFormatBundle'),
            dict(type='Collect', keys=['img'], meta_keys=keys),
        ]
    return YouTubeVISDataset(str(path), str(images), pipeline, clip_length=2, **options)


@pytest.fixture
def change(train_files):
    """Changes the annotation file; returns it and the image folder."""
    path, images = train_files

    def run(function):
        content = json.loads(path.read_text())
        function(content)
        path.write_text(json.dumps(content))
        return path, images

    return run


def set_value(*keys, value):
    def function(content):
        node = content
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value

    return function


@pytest.mark.parametrize(
    ('keys', 'value', 'words'),
    [
        (('annotations', 0, 'iscrowd'), '0', '"iscrowd" must be 0 or 1, but got \'0\''),
        (('annotations', 0, 'iscrowd'), 2, '"iscrowd" must be 0 or 1, but got 2'),
        (('annotations', 0, 'areas', 1), -1, r'areas\[1\] must be a number or null, but got -1'),
        (('annotations', 0, 'areas', 1), float('nan'), r'areas\[1\] .* but got nan'),
        (('annotations', 0, 'bboxes', 1), [1, 2, float('nan'), 4], r'bboxes\[1\] must be 4 numb'),
        (('annotations', 0, 'video_id'), [5], '"video_id" must be a video of the file'),
        (('annotations', 0, 'segmentations', 1), [[0, 0, 1e9, 0, 1e9, 1e9]], 'near its frame'),
        (('annotations', 0, 'segmentations', 1, 'counts'), 'oooo', 'is cut off'),
        (('annotations', 0, 'segmentations', 1, 'size'), None, 'size'),
        (('videos', 0, 'width'), 1e9, '"width" must be a whole number'),
        (('videos', 0, 'width'), 10**9, 'must make at most 268435456 pixels'),
        (('videos', 0, 'file_names', 0), '../x.png', r'file_names\[0\] must lie in the image fold'),
        (('videos', 0, 'file_names', 0), '/etc/x.png', r'file_names\[0\] must lie in the image'),
        (('categories', 1, 'name'), 'cat', '"name" must be unique, but \'cat\' is also that of'),
    ],
)
def test_training_scoring_and_the_check_refuse_alike(change, keys, value, words):
    path, images = change(set_value(*keys, value=value))
    with pytest.raises(InputError, match=words):
        build(path, images)
    content = json.loads(path.read_text())
    faults = DatasetCheck(content, 'ann.json', str(images)).faults
    assert sum(1 for fault in faults if fault) >= 1
    if keys[2:] != ('bboxes', 1):  # scores are of masks
        with pytest.raises(InputError, match=words):
            parse_ground_truth(content)


@pytest.mark.parametrize('value', [True, False, 0, 1])
def test_crowds_are_told_by_numbers_and_booleans(change, value):
    path, images = change(set_value('annotations', 0, 'iscrowd', value=value))
    assert build(path, images).instances.crowd[0] == bool(value)


@pytest.mark.parametrize(
    ('kind', 'hint'),
    [
        (lambda x, y, w, h: [x, y, x + w, y + h], 'look like x1 y1 x2 y2'),
        (lambda x, y, w, h: [x / 64, y / 48, (x + w) / 64, (y + h) / 48], 'look like shares of'),
        (lambda x, y, w, h: [1e9, 1e9, w, h], 'contradict the masks; the masks win'),
    ],
)
def test_boxes_that_contradict_their_masks_give_way(change, caplog, kind, hint):
    def function(content):
        entry = content['annotations'][0]
        entry['bboxes'] = [kind(26 + 4 * t, 25, 20, 20) for t in range(4)]
        masks = np.zeros((4, 48, 64), np.uint8)
        runs = []
        for t in range(4):
            masks[t, 25:45, 26 + 4 * t : 46 + 4 * t] = 1
            flat = masks[t].T.flatten()
            changes = np.flatnonzero(np.diff(flat, prepend=0))
            counts = np.diff([0, *changes, flat.size]).tolist()
            runs.append({'size': [48, 64], 'counts': counts})
        entry['segmentations'], entry['areas'] = runs, [400] * 4

    path, images = change(function)
    with caplog.at_level(logging.WARNING, 'tevit_vis'):
        dataset = build(path, images)
    (line,) = [record.getMessage() for record in caplog.records]
    assert hint in line
    assert 'annotations[0]: bboxes[0]' in line
    assert '(and 3 more)' in line
    boxes = dataset[SeededIndex(0, 0)].gt_bboxes[0]
    assert boxes[0].tolist() == [26, 25, 46, 45]
    warnings = DatasetCheck(json.loads(path.read_text()), 'a.json', str(images)).warnings
    assert any(hint in warning for warning in warnings)


def test_a_data_set_with_nothing_to_learn_from_is_warned_of(change, caplog):
    def all_crowds(content):
        for entry in content['annotations']:
            entry['iscrowd'] = 1

    path, images = change(all_crowds)
    with caplog.at_level(logging.WARNING, 'tevit_vis'):
        build(path, images)
    assert 'all 3 annotations are crowds' in caplog.text
    warnings = DatasetCheck(json.loads(path.read_text()), 'a.json', None).warnings
    assert any('all 3 annotations are crowds' in warning for warning in warnings)


def test_masks_of_shares_of_the_frame_are_warned_of(change, caplog):
    def function(content):
        for entry in content['annotations']:
            entry['segmentations'] = [
                mask and [[0.1, 0.1, 0.9, 0.1, 0.9, 0.9]] for mask in entry['segmentations']
            ]
            entry.pop('areas')
            entry.pop('bboxes')

    path, images = change(function)
    with caplog.at_level(logging.WARNING, 'tevit_vis'):
        try:
            build(path, images)
        except InputError:
            return  # masks without a pixel leave nothing at all
    assert 'not shares of the frame' in caplog.text or 'has no instance' in caplog.text


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ({'images': [{'id': 1}], 'annotations': [], 'categories': []}, 'COCO file of images'),
        ({'images': [{'id': 1}], 'videos': [{'id': 1, 'name': 'a'}]}, 'CocoVID file'),
        ({'shapes': [], 'imagePath': 'a.jpg'}, 'labelme file'),
    ],
)
def test_other_layouts_are_known_by_name(train_files, content, words):
    path, images = train_files
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=words):
        build(path, images)
    (fault,) = DatasetCheck(content, 'a.json', None).faults
    assert words in fault


def test_names_of_windows_are_paths(change):
    names = [f'v0\\0000{t}.png' for t in range(4)]
    path, images = change(set_value('videos', 0, 'file_names', value=names))
    assert build(path, images).videos[0].file_names[1] == 'v0/00001.png'


def turned(images, orientation):
    """The first video's frames as JPEGs that are stored lying and displayed upright."""
    for t in range(4):
        stored = Image.new('RGB', (48, 64), (40 * t, 10, 10))
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(images / 'v0' / f'{t}.jpg', exif=exif)
    return [f'v0/{t}.jpg' for t in range(4)]


def test_one_size_of_turned_images_everywhere(change):
    """Stored 48x64, displayed 64x48 as the file says: that is right for all."""
    path, images = change(lambda content: None)
    names = turned(images, 6)
    change(set_value('videos', 0, 'file_names', value=names))
    content = json.loads(path.read_text())
    for headers_only in (False, True):
        done = DatasetCheck(content, 'a.json', str(images), headers_only=headers_only)
        assert done.faults == []
    assert build(path, images)[SeededIndex(0, 0)].img.shape[-2:] == (64, 64)  # 48x64 padded
    test = build(path, images, test_mode=True)
    assert test.load_frame(test.videos[0], 0).meta['ori_shape'][:2] == (48, 64)

    change(set_value('videos', 0, 'width', value=48))
    change(set_value('videos', 0, 'height', value=64))
    faults = DatasetCheck(json.loads(path.read_text()), 'a.json', str(images)).faults
    assert any('must be 48x64, but is 64x48: it is stored so, but its EXIF' in f for f in faults)
    test = build(path, images, test_mode=True)
    with pytest.raises(InputError, match='but it is 64x48: it is stored so, but its EXIF'):
        test.load_frame(test.videos[0], 0)


def test_a_damaged_image_is_found_unless_only_headers_are_read(change):
    path, images = change(lambda content: None)
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    whole = cv2.imencode('.png', noise)[1].tobytes()
    (images / 'v0' / '00002.png').write_bytes(whole[: len(whole) // 2])
    content = json.loads(path.read_text())
    (fault,) = DatasetCheck(content, 'a.json', str(images)).faults
    assert 'file_names[2]' in fault
    assert 'is no image' in fault
    assert DatasetCheck(content, 'a.json', str(images), headers_only=True).faults == []


def test_a_piece_of_two_points_is_left_out_and_said(change, caplog):
    square = [3, 4, 12, 4, 12, 14, 3, 14]

    def give_polygons(pieces):
        def function(content):
            entry = content['annotations'][0]
            masks = entry['segmentations']
            entry['segmentations'] = [mask and pieces for mask in masks]
            for key in ('bboxes', 'areas'):
                entry.pop(key, None)

        return function

    path, images = change(give_polygons([square, [1, 1, 2, 2]]))
    build(path, images)
    assert 'polygons of less than three points are left out' in caplog.text
    done = DatasetCheck(json.loads(path.read_text()), 'a.json', str(images))
    assert done.faults == []
    assert any('less than three points' in line for line in done.warnings)
    change(give_polygons([[str(number) for number in square]]))
    with pytest.raises(InputError, match='polygon 0 must have finite numbers'):
        build(path, images)
