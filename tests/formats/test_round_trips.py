"""Every format gives back what was written to it."""

import json

import numpy as np
import pytest
from builders import annotation

from tevit_vis.annotated_videos import parse_videos
from tevit_vis.data_tools.checks import DatasetCheck
from tevit_vis.formats import FORMATS, ConversionLog, ReadOptions, detect_format, find_format

TARGETS = {
    'ytvis': ['a.json'],
    'cocovid': ['a.json'],
    'cvat': ['a.xml', 'folder'],
    'davis': ['folder'],
    'sam2': ['folder'],
    'mots-png': ['folder'],
    'mots': ['folder'],
}
WITHOUT_CLASSES = ('davis', 'sam2')
CATEGORIES = {1: 'cat', 3: '<dog> & "co"'}


def random_content(seed):
    """Videos of other sizes and lengths, tracks with gaps, several classes."""
    rng = np.random.default_rng(seed)
    videos, annotations = [], []
    for video in range(1, 4):
        height, width, length = (int(n) for n in rng.integers((9, 9, 2), (40, 60, 8)))
        names = [f'v {video}/{t:06d}.jpg' for t in range(length)]
        videos.append(
            dict(id=video, name=f'v {video}', width=width, height=height, file_names=names)
        )
        free = np.ones((length, height, width), bool)
        for _ in range(int(rng.integers(1, 4))):
            masks = rng.random((length, height, width)) < 0.3
            masks &= free
            masks &= (rng.random(length) < 0.7)[:, None, None]
            # Frames of formats without a length end with the last object.
            masks[-1, 0, 0] = free[-1, 0, 0]
            if masks.any():
                free &= ~masks
                category = int(rng.choice(list(CATEGORIES)))
                annotations.append(annotation(len(annotations) + 1, video, category, masks))
    categories = [dict(id=key, name=name) for key, name in CATEGORIES.items()]
    return dict(videos=videos, categories=categories, annotations=annotations)


def canonical(content, tmp_path):
    """Content as the house reads it."""
    path = tmp_path / 'canonical.json'
    path.write_text(json.dumps(content))
    return find_format('ytvis').read(str(path), ReadOptions())


def tracks_of(content, with_classes=True):
    """Tracks as a sorted list of video, class and masks."""
    names = {entry['id']: entry['name'] for entry in content['categories']}
    videos = {entry['id']: entry['name'] for entry in content['videos']}
    return sorted(
        (
            videos[entry['video_id']],
            names[entry['category_id']] if with_classes else '',
            json.dumps([mask and mask['counts'] for mask in entry['segmentations']]),
        )
        for entry in content['annotations']
        if any(entry['segmentations'])
    )


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize(
    ('name', 'target'), [(name, target) for name, own in TARGETS.items() for target in own]
)
def test_masks_come_back_to_the_pixel(name, target, seed, tmp_path):
    content = canonical(random_content(seed), tmp_path)
    path = str(tmp_path / target)
    log = ConversionLog()
    find_format(name).write(content, path, log)
    assert not [line for line in log.lines() if 'class of an object' not in line]
    found = detect_format(path)
    assert found.name == name
    options = ReadOptions(categories=CATEGORIES if 'mots' in name else None)
    back = found.read(path, options)
    assert tracks_of(back, name not in WITHOUT_CLASSES) == tracks_of(
        content, name not in WITHOUT_CLASSES
    )
    assert not [line for line in options.log.lines() if line.startswith('dropped')]
    check = DatasetCheck(back, path, None)
    assert check.faults == []
    sizes = [(v.name, v.width, v.height, v.num_frames) for v in parse_videos(back, path)]
    assert sizes == [(v.name, v.width, v.height, v.num_frames) for v in parse_videos(content, path)]


def test_every_format_that_is_written_is_tried():
    written = {n for n, form in FORMATS.items() if 'write' in type(form).__dict__}
    # Boxes and outlines do not come back to the pixel: test_formats.py, test_cvat.py
    assert written == {*TARGETS, 'mot', 'cvat-polygons'}


@pytest.mark.parametrize('name', ['davis', 'mots-png'])
def test_where_objects_overlap_the_first_counts(name, tmp_path):
    masks = np.zeros((2, 1, 4, 6), bool)
    masks[0, :, :, :4] = True
    masks[1, :, :, 2:] = True
    content = dict(
        videos=[dict(id=1, name='v', width=6, height=4, file_names=['v/0.jpg'])],
        categories=[dict(id=1, name='cat')],
        annotations=[annotation(n + 1, 1, 1, masks[n]) for n in range(2)],
    )
    log = ConversionLog()
    find_format(name).write(canonical(content, tmp_path), str(tmp_path / 'out'), log)
    assert any('pixels that an object before it has (1 times' in line for line in log.lines())
    back = find_format(name).read(str(tmp_path / 'out'), ReadOptions())
    assert [entry['areas'] for entry in back['annotations']] == [[16], [8]]


@pytest.mark.parametrize('name', ['cvat', 'cocovid'])
def test_crowds_stay_crowds(name, tmp_path):
    content = random_content(1)
    content['annotations'][0]['iscrowd'] = 1
    content = canonical(content, tmp_path)
    path = str(tmp_path / ('a.xml' if name == 'cvat' else 'a.json'))
    find_format(name).write(content, path, ConversionLog())
    back = find_format(name).read(path, ReadOptions())
    assert [entry['iscrowd'] for entry in back['annotations']] == [
        entry['iscrowd'] for entry in content['annotations']
    ]


@pytest.mark.parametrize('name', sorted(TARGETS))
def test_two_videos_of_one_name_stay_two(name, tmp_path):
    content = random_content(1)
    for video in content['videos']:
        video['name'] = 'walk'
    content = canonical(content, tmp_path)
    path = str(tmp_path / TARGETS[name][-1])
    find_format(name).write(content, path, ConversionLog())
    back = find_format(name).read(path, ReadOptions())
    expected = ['walk'] * 3 if name == 'ytvis' else ['walk', 'walk_2', 'walk_3']
    assert [video['name'] for video in back['videos']] == expected
    assert len(back['annotations']) == len(content['annotations'])


def test_two_files_of_one_kind_are_told_apart_by_their_time(tmp_path):
    """The last file that was looked into is kept; a new one of its name is read anew."""
    path = tmp_path / 'a.json'
    path.write_text('{"videos": []}')
    assert detect_format(str(path)).name == 'ytvis'
    path.write_text('{"images": [], "annotations": []}')
    assert detect_format(str(path)).name == 'cocovid'
