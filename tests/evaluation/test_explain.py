"""Scores that explain themselves."""

import json
import zipfile

import pytest
from test_ytvis_eval import make_case

from tevit_vis.evaluation.explain import explain_score
from tevit_vis.evaluation.submission import read_results
from tevit_vis.evaluation.tubes import parse_ground_truth
from tevit_vis.evaluation.ytvis_eval import evaluate
from tevit_vis.utils.errors import InputError


def two_videos():
    """Two videos of a cat and a dog, and a perfect submission."""
    truth, entry = make_case()
    (annotation,) = truth['annotations']
    truth['videos'].append({**truth['videos'][0], 'id': 5})
    truth['categories'].append({'id': 8, 'name': 'dog'})
    truth['annotations'] = [
        {**annotation, 'id': 2 * n + m, 'video_id': video, 'category_id': category}
        for n, video in enumerate((4, 5))
        for m, category in enumerate((7, 8))
    ]
    results = [
        {**entry, 'video_id': video, 'category_id': category}
        for video in (4, 5)
        for category in (7, 8)
    ]
    return truth, results


def explain(truth, results):
    evaluation = evaluate(parse_ground_truth(truth), results)
    return explain_score(truth, results, evaluation, 'r.json')


def test_a_good_score_needs_no_words():
    assert explain(*two_videos()) == []


@pytest.mark.parametrize('change', [1, -1])
def test_ids_off_by_one_are_told(change):
    truth, results = two_videos()
    for entry in results:
        entry['category_id'] -= change
    lines = explain(truth, results)
    assert any(f'off by one: with {change:+d} AP would be 1.000, not' in line for line in lines)


def test_other_categories_are_told():
    truth, results = two_videos()
    truth['categories'] += [{'id': 30, 'name': 'owl'}]
    for entry in results:
        entry['category_id'] = 30
    assert any('with all of them as one AP would be' in line for line in explain(truth, results))


def test_swapped_sizes_are_told():
    truth, results = two_videos()
    for entry in results:
        entry['segmentations'] = [
            mask and {**mask, 'size': mask['size'][::-1]} for mask in entry['segmentations']
        ]
    lines = explain(truth, results)
    assert any('[width, height] as their size' in line for line in lines)
    assert any('more faults' in line for line in lines)


def test_missing_videos_and_truth_of_crowds_are_told():
    truth, results = two_videos()
    lines = explain(truth, results[:2])
    assert lines == [
        'r.json: 1 of 2 videos with instances have no entry (first: video 5): what is in them '
        'counts as missed'
    ]
    for entry in truth['annotations']:
        entry['iscrowd'] = 1
    assert any('AP is -1: there is nothing to find' in line for line in explain(truth, results))


def test_packed_results_are_read(tmp_path):
    path = tmp_path / 'r.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('results.json', json.dumps([1, 2]))
    assert read_results(path) == [1, 2]
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('more.json', '[]')
    with pytest.raises(InputError, match='r.zip: archive must hold one JSON file, but holds 2'):
        read_results(path)
    data = bytearray(path.read_bytes())
    data[40:60] = b'x' * 20
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match='r.zip: archive'):
        read_results(path)
