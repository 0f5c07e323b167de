import json

import cv2
import pytest
from builders import noise_frames

from tevit_vis.datasets import YouTubeVISDataset
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError

PIPELINE = load_config('tevit/tevit_msgshift').data.test.pipeline


def make_dataset(annotations, images, categories='ytvis2019'):
    return YouTubeVISDataset(str(annotations), str(images), PIPELINE, categories, test_mode=True)


def test_frames_come_in_the_order_of_file_names(video_dataset):
    annotations, images = video_dataset
    content = json.loads(annotations.read_text())
    content['videos'][0]['file_names'].reverse()
    annotations.write_text(json.dumps(content))
    dataset = make_dataset(annotations, images)
    frame = dataset.load_frame(dataset.videos[0], 0)
    assert frame.meta['filename'].endswith('00002.png')


@pytest.mark.parametrize(
    ('index', 'resized', 'padded'),
    [(0, (360, 600), (384, 608)), (1, (496, 360), (512, 384)), (2, (600, 360), (608, 384))],
)
def test_frames_are_resized_keeping_their_shape_and_padded_to_32(
    video_dataset, index, resized, padded
):
    dataset = make_dataset(*video_dataset)
    frame = dataset.load_frame(dataset.videos[index], 0)
    assert frame.meta['img_shape'][:2] == resized
    assert frame.img.shape == (3, *padded)


def test_named_categories_win_over_the_files(video_dataset, caplog):
    annotations, images = video_dataset
    content = json.loads(annotations.read_text())
    content['categories'] = [{'id': 7, 'name': 'screw'}, {'id': 3, 'name': 'nail'}]
    annotations.write_text(json.dumps(content))
    named = make_dataset(annotations, images)
    assert named.label_to_category[:2] == [1, 2]
    assert 'not those of ytvis2019' in caplog.text
    own = make_dataset(annotations, images, categories=None)
    assert (own.label_to_category, own.CLASSES) == ([7, 3], ('screw', 'nail'))


VIDEO = {'id': 1, 'width': 4, 'height': 3, 'file_names': ['a/0.jpg', 'a/1.jpg']}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"videos": [', 'a.json: annotation file must be JSON'),
        ('[1]', 'must be an object with "videos", but got a list'),
        ('{"images": []}', '"videos" must be a list with at least one video, but got NoneType'),
        ({'videos': []}, '"videos" must be a list with at least one video, but got an empty list'),
        ({'videos': [3]}, r'videos\[0\] must be an object, but got 3'),
        ({'videos': [VIDEO, VIDEO]}, r'videos\[1\]: "id" must be unique, but 1 is not'),
        ({'videos': [{**VIDEO, 'width': 0}]}, r'"width" must be a whole number.*but got 0'),
        ({'videos': [{**VIDEO, 'file_names': []}]}, r'videos\[0\]: "file_names" must be a list'),
        ({'videos': [{**VIDEO, 'length': 3}]}, r'"length" must be .* file_names, 2, but got 3'),
        (
            {'videos': [VIDEO], 'categories': [{'id': 1}]},
            r'categories\[0\] must have a number "id" and a text "name"',
        ),
    ],
)
def test_files_in_another_layout_are_refused(tmp_path, content, message):
    path = tmp_path / 'a.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError, match=message):
        make_dataset(path, tmp_path)


def test_absent_files_and_tables_are_named(tmp_path, video_dataset):
    with pytest.raises(InputError, match='absent.json: annotation file must be there'):
        make_dataset(tmp_path / 'absent.json', tmp_path)
    with pytest.raises(InputError, match="data.<split>.categories must be one of .* 'ytvis2020'"):
        make_dataset(*video_dataset, categories='ytvis2020')
    with pytest.raises(InputError, match='"categories" must not be empty'):
        make_dataset(*video_dataset, categories=None)


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda path: path.unlink(), '00001.png: frame must be an image file, but there is none'),
        (lambda path: path.write_bytes(b''), '00001.png: frame must be an image, but it cannot'),
        (lambda path: path.write_bytes(b'x' * 99), 'frame must be an image, but it cannot'),
        (
            lambda path: cv2.imwrite(str(path), noise_frames(1, 48, 81)[0]),
            '00001.png: frame 1 of video 10 must be 80x48 as .*json says, but it is 81x48',
        ),
    ],
)
def test_bad_frames_are_named(video_dataset, damage, message):
    annotations, images = video_dataset
    dataset = make_dataset(annotations, images)
    damage(images / 'video_0' / '00001.png')
    dataset.load_frame(dataset.videos[0], 0)
    with pytest.raises(InputError, match=message):
        dataset.load_frame(dataset.videos[0], 1)
