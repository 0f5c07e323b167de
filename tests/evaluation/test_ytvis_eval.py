import json

import numpy as np
import pytest
import torch
from builders import GOLDENS, SHARED

from tevit_vis.evaluation.scores import STAT_NAMES
from tevit_vis.evaluation.tubes import MaskTube, occlusion_score, parse_ground_truth
from tevit_vis.evaluation.ytvis_eval import evaluate, match_video
from tevit_vis.rle import encode_masks
from tevit_vis.utils.errors import InputError

OTHERS = SHARED / 'goldens' / 'evaluation'
CASES = ['small', 'medium', 'perfect', 'empty', 'ovis']


@pytest.mark.parametrize('case', CASES)
def test_arrays_and_stats_equal_the_official_ones(case):
    folders = [root / case for root in (GOLDENS / 'evaluation', OTHERS) if (root / case).is_dir()]
    if not folders:
        pytest.skip('../shared/goldens is absent')
    folder = folders[0]
    ground_truth = parse_ground_truth(json.loads((folder / 'gt.json').read_text()))
    evaluation = evaluate(ground_truth, json.loads((folder / 'results.json').read_text()))
    arrays = np.load(folder / 'arrays.npz')
    for name in ('precision', 'recall', 'scores'):
        assert np.array_equal(getattr(evaluation, name), arrays[name]), name
    for name in arrays:
        if name.startswith('iou_'):
            video, category = map(int, name.split('_')[1:])
            assert np.array_equal(evaluation.ious[video, category], arrays[name]), name
    expected = json.loads((folder / 'expected.json').read_text())
    stats = expected.get('ovis_stats', expected['stats'])
    assert evaluation.stats == pytest.approx(stats, abs=1e-12)
    assert tuple(evaluation.stats)[:12] == STAT_NAMES
    for category, of_category in expected['per_category'].items():
        found = evaluation.per_category[int(category)]
        for key in set(found) & set(of_category):
            assert found[key] == pytest.approx(of_category[key], abs=1e-12), (category, key)


# What docs/evaluation.md says of the official evaluator's odd cases: equal to it, or refused.
QUIRKS = {
    'size_mismatch_one_frame': 'equal',
    'size_mismatch_all': 'equal',
    'unknown_category': 'equal',
    'gt_id_zero': 1.0,
    'gt_without_iscrowd': 1.0,
    'gt_without_areas': 1.0,
    'short_prediction': 'for each of the 4 frames, but got 2',
    'long_prediction': 'for each of the 4 frames, but got 8',
    'uncompressed_prediction': 'must be null or a compressed RLE',
    'polygon_prediction': 'must be null or a compressed RLE',
    'unknown_video': '"video_id" must be a video of the file',
    'nan_score': '"score" must be a number, but got nan',
    'null_score': '"score" must be a number, but got None',
    'duplicate_gt_ids': r'annotations\[1\]: "id" must be unique, but 1 is not',
    'no_gt_at_all': "'annotations' must not be empty to score against",
    'no_annotations_key': "'annotations' must not be empty to score against",
    'no_segmentations': '"segmentations" must have one mask or null for each',
}


def test_every_quirk_of_the_official_evaluator_is_decided():
    cases = json.loads((GOLDENS / 'evaluation' / 'quirks' / 'cases.json').read_text())
    expected = json.loads((GOLDENS / 'evaluation' / 'quirks' / 'expected.json').read_text())
    assert set(cases) == set(QUIRKS)
    for name, case in cases.items():
        if QUIRKS[name] == 'equal':
            stats = evaluate(parse_ground_truth(case['gt']), case['results']).stats
            assert stats == pytest.approx(expected[name]['stats'], abs=1e-12), name
        elif isinstance(QUIRKS[name], float):
            stats = evaluate(parse_ground_truth(case['gt']), case['results']).stats
            assert stats['AP'] == pytest.approx(QUIRKS[name]), name
        else:
            with pytest.raises(InputError, match=QUIRKS[name]):
                evaluate(parse_ground_truth(case['gt']), case['results'])


def make_case(length=2):
    mask = torch.zeros(1, 6, 8, dtype=torch.bool)
    mask[0, 1:4, 2:5] = True
    (rle,) = encode_masks(mask)
    video = {'id': 4, 'width': 8, 'height': 6, 'file_names': ['x'] * length}
    truth = {'id': 0, 'video_id': 4, 'category_id': 7, 'segmentations': [rle] * length}
    prediction = {'video_id': 4, 'category_id': 7, 'score': 0.5, 'segmentations': [rle] * length}
    ground_truth = {
        'videos': [video],
        'categories': [{'id': 7, 'name': 'cat'}],
        'annotations': [truth],
    }
    return ground_truth, prediction


@pytest.mark.parametrize(
    ('levels', 'score', 'groups'),
    [
        (['no_occlusion'] * 2, 0.0, {'light'}),
        (['slight_occlusion', None], 0.25, {'light', 'medium_occ'}),  # both ends belong
        (['severe_occlusion', 'slight_occlusion', 'no_occlusion'], 0.5, {'medium_occ', 'heavy'}),
        (['severe_occlusion', 'no_occlusion', 'no_occlusion'], 0.375, {'medium_occ'}),
        (['severe_occlusion'] * 2, 0.75, {'heavy'}),
    ],
)
def test_occlusion_groups_by_the_higher_half_of_the_levels(levels, score, groups):
    assert occlusion_score(levels) == score
    ground_truth, prediction = make_case()
    ground_truth['annotations'][0]['occlusion'] = levels
    stats = evaluate(parse_ground_truth(ground_truth), [prediction]).stats
    for name in ('light', 'medium_occ', 'heavy'):
        assert stats[f'AP_{name}'] == pytest.approx(1 if name in groups else -1)
        assert stats[f'AR_{name}'] == (1 if name in groups else -1)


def test_no_prediction_is_left_out_for_occlusion():
    """A wrong prediction counts against every group that has ground truth."""
    ground_truth, prediction = make_case()
    ground_truth['annotations'][0]['occlusion'] = ['no_occlusion'] * 2
    (other,) = encode_masks(torch.ones(1, 6, 8, dtype=torch.bool))
    wrong = {**prediction, 'score': 0.9, 'segmentations': [other] * 2}
    stats = evaluate(parse_ground_truth(ground_truth), [wrong, prediction]).stats
    assert stats['AP_light'] == pytest.approx(0.5)


def test_of_equal_ious_the_last_ground_truth_is_taken():
    areas = np.array([5])
    tubes = [MaskTube([None], areas, mean_area=5.0, score=score) for score in (0.9, 0.8)]
    # The second prediction fits the first ground truth alone: it is matched only if that is free.
    matched = match_video(tubes, tubes, np.array([[0.7, 0.7], [0.7, 0.1]])).matched
    assert matched[0, 0].tolist() == [True, True]


def test_missing_areas_and_crowd_flags_are_filled_in():
    ground_truth, prediction = make_case()
    stats = evaluate(parse_ground_truth(ground_truth), [prediction]).stats
    assert stats['AP'] == pytest.approx(1)
    assert (stats['APs'], stats['APl']) == (pytest.approx(1), -1)


def test_an_unknown_category_is_left_out():
    ground_truth, prediction = make_case()
    truth = parse_ground_truth(ground_truth)
    assert evaluate(truth, [{**prediction, 'category_id': 9}]).stats['AP'] == 0


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'video_id': 5}, r'r.json: \[0\]: "video_id" must be a video of the file, but got 5'),
        ({'category_id': None}, '"category_id" must be a whole number, but got None'),
        ({'score': None}, '"score" must be a number, but got None'),
        ({'score': float('nan')}, '"score" must be a number, but got nan'),
        ({'segmentations': [None]}, 'for each of the 2 frames, but got 1'),
        (
            {'segmentations': [[[1, 1, 5, 1, 5, 5]], None]},
            r'segmentations\[0\] must be null or a compressed RLE .* but got \[\[1, 1, 5',
        ),
        (
            {'segmentations': [None, {'size': [1, 1], 'counts': [0, 1]}]},
            r'segmentations\[1\] must be null or a compressed RLE',
        ),
    ],
)
def test_entries_that_cannot_be_scored_are_named(change, message):
    ground_truth, prediction = make_case()
    with pytest.raises(InputError, match=message):
        evaluate(parse_ground_truth(ground_truth), [{**prediction, **change}], origin='r.json')


TRUTH = make_case()[0]['annotations'][0]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'annotations': None}, "gt.json: 'annotations' must not be empty"),
        ({'annotations': []}, "gt.json: 'annotations' must not be empty"),
        ({'categories': []}, "gt.json: 'categories' must not be empty"),
        ({'annotations': [{'video_id': 4}]}, r'gt.json: annotations\[0\]: "category_id" must be'),
        ({'videos': None}, 'gt.json: "videos" must be a list'),
        ({'annotations': [3]}, r'annotations\[0\] must be an object, but got 3'),
        (
            {'annotations': [{**TRUTH, 'occlusion': ['none']}]},
            r"occlusion\[0\] must .* 'none'",
        ),
        ({'annotations': [{**TRUTH, 'areas': ['x', 1]}]}, r'areas\[0\] must be a number or null'),
        ({'annotations': [{**TRUTH, 'category_id': 9}]}, '"category_id" must be one of the cat'),
        ({'annotations': [{'video_id': 5}]}, r'annotations\[0\]: "video_id" must be a video'),
    ],
)
def test_ground_truth_that_cannot_be_scored_against_is_named(change, message):
    ground_truth, _ = make_case()
    with pytest.raises(InputError, match=message):
        parse_ground_truth({**ground_truth, **change}, 'gt.json')
