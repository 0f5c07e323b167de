import json

import cv2
import numpy as np
import pytest

from tevit_vis.data_tools.checks import DatasetCheck
from tevit_vis.data_tools.split import split_videos
from tevit_vis.utils.errors import InputError


def check(train_files, change=lambda content: None):
    path, images = train_files
    content = json.loads(path.read_text())
    change(content)
    return DatasetCheck(content, 'ann.json', str(images))


def test_a_sound_data_set_has_no_fault(train_files):
    done = check(train_files)
    assert (done.faults, done.warnings) == ([], [])
    summary = done.summary()
    for part in ('| videos', '6 (2 to 4, median 3 a video)', '64x48: 2', '| 7  | dog      | 2'):
        assert part in summary


def test_all_faults_are_listed_with_their_entries(train_files, tmp_path):
    _, images = train_files
    (images / 'v0' / '00001.png').unlink()
    (images / 'v0' / '00002.png').write_text('no image')
    cv2.imwrite(str(images / 'v0' / '00003.png'), np.zeros((10, 20, 3), np.uint8))

    def change(content):
        content['videos'].append({**content['videos'][1], 'id': 5})
        content['videos'].append({'id': 9})
        content['annotations'][0]['category_id'] = 4
        content['annotations'][1]['id'] = 3
        content['annotations'][1]['segmentations'].pop()

    faults = check(train_files, change).faults
    for part in (
        'videos[0]: file_names[1]: ',
        '00002.png is no image',
        '00003.png must be 64x48, but is 20x10',
        'videos[2]: "id" must be unique, but 5 is not',
        'videos[3]: "width" must be a whole number',
        'annotations[0]: "category_id" must be one of the categories, but got 4',
        'annotations[1]: "segmentations" must have one mask or null',
        'annotations[2]: "id" must be unique, but 3 is not',
    ):
        assert sum(part in fault for fault in faults) == 1, (part, faults)


def test_odd_entries_are_warned_of(train_files):
    def change(content):
        first, late, last = content['annotations']
        first['segmentations'][0] = {'size': [48, 64], 'counts': [48 * 64]}
        first['areas'][1] = 7
        first['bboxes'][2] = [0, 0, 5, 5]
        late['segmentations'] = [None] * 4
        content['categories'].append({'id': 8, 'name': 'owl'})
        content['annotations'] = [first, late]

    done = check(train_files, change)
    assert done.faults == []
    for part in (
        'annotations[0]: segmentations[0]: is an empty mask',
        'segmentations[1]: has 400 pixels, but "areas" says 7',
        'segmentations[2]: fills the box [10.0, 10.0, 20.0, 20.0], but "bboxes" says [0, 0, 5, 5]',
        'annotations[1]: has no mask to train with in any frame',
        'category 8 (owl) has no instance',
        '1 videos have no instance',
    ):
        assert sum(part in warning for warning in done.warnings) == 1, (part, done.warnings)


def make_content(categories):
    """A video per list of category ids."""
    return {
        'videos': [{'id': index} for index in range(len(categories))],
        'annotations': [
            {'video_id': index, 'category_id': category}
            for index, of_video in enumerate(categories)
            for category in of_video
        ],
    }


def count(part, category):
    return sum(entry['category_id'] == category for entry in part['annotations'])


@pytest.mark.parametrize('seed', range(5))
def test_a_split_shares_every_category(seed):
    content = make_content([[1, 2]] * 20 + [[1]] * 60 + [[3, 3]] * 10 + [[]] * 10)
    rest, aside = split_videos(content, 0.2, seed)
    assert (len(rest['videos']), len(aside['videos'])) == (80, 20)
    ids = [{video['id'] for video in part['videos']} for part in (rest, aside)]
    assert not ids[0] & ids[1]
    assert {entry['video_id'] for entry in aside['annotations']} <= ids[1]
    assert 3 <= count(aside, 2) <= 5
    assert 2 <= count(aside, 3) <= 6
    assert split_videos(content, 0.2, seed) == (rest, aside)


def test_the_only_video_of_a_category_stays():
    for seed in range(10):
        rest, aside = split_videos(make_content([[1], [1], [1], [2]]), 0.5, seed)
        assert count(rest, 2) == 1
        assert len(aside['videos']) == 2


@pytest.mark.parametrize('share', [0, 0.1, 1])
def test_a_split_with_an_empty_side_is_refused(share):
    with pytest.raises(InputError, match='--share: must leave videos on both sides'):
        split_videos(make_content([[1], [1]]), share, 0)
