"""Data sets joined, cut and renamed."""

import json

import cv2
import numpy as np
import pytest
from builders import annotation

from tevit_vis.data_tools.checks import DatasetCheck
from tevit_vis.rle import encode_array
from tevit_vis.video import VideoWriter


def write_set(path, names, lengths, ids=(5, 9)):
    """A data set of two categories with a track of each in every video."""
    videos = [
        dict(id=n + 3, width=8, height=6, file_names=[f'{n}/{t}.jpg' for t in range(length)])
        for n, length in enumerate(lengths)
    ]
    annotations = []
    for video in videos:
        masks = np.ones((len(video['file_names']), 6, 8), bool)
        for key in ids:
            annotations.append(annotation(len(annotations) + 1, video['id'], key, masks))
    categories = [dict(id=key, name=name) for key, name in zip(ids, names)]
    path.write_text(json.dumps(dict(videos=videos, categories=categories, annotations=annotations)))
    return path


@pytest.fixture
def files(tmp_path):
    return [
        write_set(tmp_path / 'a.json', ['cat', 'dog'], [2, 3]),
        write_set(tmp_path / 'b.json', ['dog', 'auto'], [4], ids=(1, 2)),
    ]


def read(path):
    content = json.loads(path.read_text())
    assert DatasetCheck(content, str(path), None).faults == []
    return content


def names_of(content):
    names = {entry['id']: entry['name'] for entry in content['categories']}
    return [names[entry['category_id']] for entry in content['annotations']]


def test_categories_of_one_name_are_joined(call, call_fails, files, tmp_path):
    out = tmp_path / 'out.json'
    assert 'put a folder before the names (--folders)' in call_fails(
        'data/merge.py', *files, '--out', out
    )
    printed = call('data/merge.py', *files, '--folders', 'x', 'y/', '--out', out)
    assert f'{out}: 3 videos, 6 tracks, 3 categories' in printed
    content = read(out)
    assert names_of(content) == ['cat', 'dog', 'cat', 'dog', 'dog', 'auto']
    assert content['videos'][2]['file_names'][0] == 'y/0/0.jpg'
    assert [entry['video_id'] for entry in content['annotations']] == [1, 1, 2, 2, 3, 3]
    table = tmp_path / 'table.json'
    table.write_text('{"auto": "car", "cat": null}')
    options = ('--folders', 'x', 'y', '--table', table, '--out', out)
    assert 'dropped: 2 tracks of cat' in call('data/merge.py', *files, *options)
    assert names_of(read(out)) == ['dog', 'dog', 'dog', 'car']
    assert 'must be one per file' in call_fails(
        'data/merge.py', *files, '--folders', 'x', '--out', out
    )


def test_parts_of_a_data_set(call, call_fails, files, tmp_path):
    out = tmp_path / 'out.json'
    printed = call(
        'data/subset.py', files[0], '--categories', 'dog', '--lengths', 3, 9, '--out', out
    )
    assert 'videos: 1 of 2' in printed
    content = read(out)
    assert names_of(content) == ['dog']
    assert content['videos'][0]['id'] == 4, 'ids stay'
    call('data/subset.py', files[0], '--videos', 1, '--out', out)
    assert len(read(out)['annotations']) == 2
    for options, message in (
        (('--categories', 'dgo'), "category must be of cat, dog, but got 'dgo'; did you mean"),
        (('--lengths', 7, 9), 'no video fits'),
        (('--videos', 3), 'must be at most the 2 that fit'),
    ):
        assert message in call_fails('data/subset.py', files[0], *options, '--out', out)


def test_names_are_changed(call, call_fails, files, tmp_path):
    table, out = tmp_path / 'table.json', tmp_path / 'out.json'
    table.write_text('{"cat": "animal", "dog": "animal"}')
    call('data/remap.py', files[0], '--table', table, '--out', out)
    content = read(out)
    assert content['categories'] == [dict(id=5, name='animal')]
    assert len(content['annotations']) == 4
    for text, message in (
        ('["cat"]', 'table.json: must be an object {"old name": "new name" or null}'),
        ('{"cat": 3}', 'must be an object'),
        ('{"cats": "dog"}', "but got 'cats'; did you mean 'cat'?"),
    ):
        table.write_text(text)
        assert message in call_fails('data/remap.py', files[0], '--table', table, '--out', out)


def test_what_can_be_mended_is_mended(call, files, tmp_path):
    content = json.loads(files[0].read_text())
    whole = content['annotations'][0]
    first = whole['segmentations'][0]
    faulty = [
        dict(whole, id=whole['id']),  # an id twice
        dict(whole, id=None, video_id=77),
        dict(whole, id=50, category_id=[1]),
        dict(whole, id=51, segmentations=[None]),
        dict(whole, id=52, segmentations=[None, None]),
        dict(whole, id=53, segmentations=[first, [[1, 2, 'x']]]),
        dict(whole, id=54, segmentations=[first, dict(size=[6, 9], counts='0b1')]),
        dict(whole, id=55, segmentations=[first, dict(size=[6, 8], counts='zz')]),
        dict(whole, id=56, areas=[1, 1], bboxes=[[0, 0, 1, 1]] * 2, iscrowd=[]),
        dict(whole, id=57, segmentations=[first, encode_array(np.zeros((6, 8), bool))]),
    ]  # fmt: skip
    content['annotations'] += faulty
    content['videos'][0]['length'] = 9
    content['videos'] += [dict(id=4, width=8, height=6, file_names=['z.jpg']), dict(id=9), 'x']
    files[0].write_text(json.dumps(content))
    before = files[0].read_bytes()
    out = tmp_path / 'fixed.json'
    printed = call('data/check_dataset.py', files[0], '--fix', out)
    for line in (
        'changed: "length" is the number of frames (1 times',
        'changed: an "id" that was no number or used twice is a new one (1 times',
        'changed: "areas" are those of the masks',
        'changed: "iscrowd" that was neither 0 nor 1 is 0 (1 times',
        'changed: an empty mask is null (1 times',
        'dropped: a second video of one id (1 times',
        'dropped: a video whose entry breaks a rule (2 times',
        'dropped: a track of no usable video (1 times',
        'dropped: a track of no category of the file (1 times',
        'dropped: a track with another number of masks than frames (1 times',
        'dropped: a track without a mask (1 times',
        'dropped: a mask that is no RLE and no polygons (1 times',
        'dropped: a mask of another size than its video (1 times',
        'dropped: a mask whose runs do not add up (1 times',
    ):
        assert line in printed
    assert files[0].read_bytes() == before
    fixed = read(out)
    assert len(fixed['annotations']) == 4 + 6
    again = call('data/check_dataset.py', out, '--fix', tmp_path / 'again.json')
    assert 'changed' not in again
    assert 'dropped' not in again


def test_frames_are_cut_where_the_annotation_tool_counts_them(call, call_fails, tmp_path):
    with VideoWriter(str(tmp_path / 'walk.mp4'), 10) as writer:
        for value in range(8):
            writer.write(np.full((6, 8, 3), 30 * value, np.uint8))
    shape = '<polygon frame="1" outside="0" points="1,1;5,1;5,4"/>'
    (tmp_path / 'walk.xml').write_text(
        '<annotations><meta><task><id>1</id><name>walk</name><size>2</size>'
        '<start_frame>3</start_frame><frame_filter>step=2</frame_filter>'
        '<original_size><width>8</width><height>6</height></original_size></task></meta>'
        f'<track id="0" label="cat">{shape}</track></annotations>'
    )
    frames, out = tmp_path / 'frames', tmp_path / 'walk.json'
    options = ('--video', tmp_path / 'walk.mp4', '--frames', frames)
    out.write_text('mine')
    line = call_fails('data/convert.py', tmp_path / 'walk.xml', out, *options)
    assert '--overwrite replaces it' in line
    assert not frames.exists(), 'nothing is cut out in vain'
    out.unlink()
    call('data/convert.py', tmp_path / 'walk.xml', out, *options)
    content = read(out)
    names = content['videos'][0]['file_names']
    assert names == ['000003.jpg', '000005.jpg']
    assert cv2.imread(str(frames / names[1])).mean() == pytest.approx(150, abs=6)
    line = call_fails('data/convert.py', tmp_path / 'walk.xml', out, *options, '--overwrite')
    assert 'frames must go to a new folder, but it is there already' in line
    line = call_fails('data/convert.py', tmp_path / 'walk.xml', out, *options[:2])
    assert '--video: needs --frames' in line
