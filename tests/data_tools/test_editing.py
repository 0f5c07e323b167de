"""Data sets joined, cut and renamed."""

import json

import numpy as np
import pytest
from builders import annotation

from tevit_vis.data_tools.checks import DatasetCheck


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
