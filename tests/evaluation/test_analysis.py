"""The analysis of a submission: parts agree with each other, slices with their definitions."""

import json

import numpy as np
import pytest
from builders import GOLDENS, SHARED, annotation
from tube_cases import CAT, LENGTH, entry, random_case, square, truth

from tevit_vis.evaluation.analysis import analyse
from tevit_vis.evaluation.calibration import calibrate
from tevit_vis.evaluation.results import parse_results
from tevit_vis.evaluation.slices import PROPERTIES, properties_of
from tevit_vis.evaluation.tables import analysis_tables, comparison_table, video_table
from tevit_vis.evaluation.timelines import track_overlaps
from tevit_vis.evaluation.tracking_scores import score_tracking
from tevit_vis.evaluation.tube_errors import PredictionOutcome
from tevit_vis.evaluation.tubes import parse_ground_truth


@pytest.mark.parametrize('seed', range(6))
def test_parts_agree_with_the_metric(seed):
    ground_truth, entries = random_case(seed)
    analysis = analyse(ground_truth, entries, min_score=0.0)
    stats = analysis.evaluation.stats
    assert analysis.errors.ap == pytest.approx(stats['AP50'])
    per_class = analysis.evaluation.per_category
    for category, name in ground_truth.categories.items():
        if name in analysis.slices['class']:
            scores = analysis.slices['class'][name]
            assert scores.ap == pytest.approx(per_class[category]['AP'])
            assert scores.ap50 == pytest.approx(per_class[category]['AP50'])
    num_gts = sum(len(tubes) for tubes in ground_truth.tubes.values())
    for name in PROPERTIES:
        assert sum(scores.count for scores in analysis.slices[name].values()) == num_gts
    # One group of all objects has the scores of all.
    (only,) = analysis.slices['size'].values()
    assert only.ap == pytest.approx(stats['AP'])
    assert sum(only.outcomes.values()) == pytest.approx(1)
    videos = analysis.videos.values()
    assert sum(video.tracking.switches for video in videos) == analysis.tracking.switches
    assert sum(video.counts['Right'] for video in videos) == sum(
        pred.kind == 'Right' for pred in analysis.errors.predictions
    )
    report = analysis.report()
    assert 'NaN' not in json.dumps(report)
    for category, name in ground_truth.categories.items():
        if name in report['precision_recall']:
            curve = report['precision_recall'][name]['AP50']
            assert len(curve) == 101
            assert np.mean(curve) == pytest.approx(per_class[category]['AP50'], abs=1e-4)


def test_tracks_of_other_classes_and_low_scores_do_not_overlap():
    ground_truth = truth(CAT)
    results = [entry(1, 2, square(8), 0.9), entry(1, 1, square(8), 0.2)]
    preds = parse_results(results, ground_truth.lengths, 'r')
    frames, gts, tracks = track_overlaps(ground_truth, preds, 1, min_score=0.3)
    assert (len(gts), len(tracks)) == (1, 1)
    assert score_tracking(frames, 1, 1).hota == 0
    frames, *_ = track_overlaps(ground_truth, preds, 1, min_score=0.1)
    assert frames[0].ious.tolist() == [[1.0, 0.0]]


def tube_of(masks, **fields):
    content = dict(
        videos=[dict(id=1, width=120, height=40, length=LENGTH,
                     file_names=[f'{t}.jpg' for t in range(LENGTH)])],
        categories=[dict(id=1, name='cat')],
        annotations=[annotation(1, 1, 1, masks, **fields)],
    )  # fmt: skip
    return parse_ground_truth(content).tubes[1, 1][0]


@pytest.mark.parametrize(
    ('masks', 'expected'),
    [
        (square(8), dict(speed='slow', visibility='all frames', occlusion='never out of sight')),
        (square(8, frames=[2]), dict(speed='seen once', visibility='less than half of the frames')),
        (
            square(8, frames=[0, 1, 2, 4, 5, 6, 7]),
            dict(
                occlusion='out of sight for up to a quarter',
                visibility='half or more of the frames',
            ),
        ),
        (square(8, frames=[0, 7]), dict(occlusion='out of sight for longer', speed='seen once')),
        # A step of 2 of 16 pixels: IoU 14/18; a step of 4: 12/20.
        (np.stack([np.roll(square(70)[0], 2 * t, 1) for t in range(LENGTH)]), dict(speed='medium')),
        (np.stack([np.roll(square(50)[0], 4 * t, 1) for t in range(LENGTH)]), dict(speed='fast')),
        (square(100), dict(speed='slow')),
        (square(8, frames=[]), dict(visibility='less than half of the frames', speed='seen once')),
    ],
)
def test_groups_by_hand(masks, expected):
    groups = properties_of(tube_of(masks), LENGTH, num_objects=4, category='cat')
    assert set(groups) == set(PROPERTIES)
    assert {name: groups[name] for name in expected} == expected
    assert groups['crowd'] == '3 to 5'
    assert groups['size'] == 'small'
    assert groups['video length'] == 'up to 16 frames'


def test_occlusion_levels_of_the_file_count():
    levels = ['severe_occlusion'] * LENGTH
    tube = tube_of(square(8), occlusion=levels)
    assert properties_of(tube, LENGTH, 1, 'cat')['occlusion'] == 'heavy'


def test_calibration_by_hand():
    kinds = ['Right', 'Bkg', 'Right', 'Ignored', 'Right']
    scores = [0.95, 0.91, 0.15, 0.5, 1.0]
    preds = [PredictionOutcome(1, 1, n, s, k) for n, (s, k) in enumerate(zip(scores, kinds))]
    calibration = calibrate(preds)
    assert calibration.counts == [0, 1, 0, 0, 0, 0, 0, 0, 0, 3]
    assert calibration.right_shares[9] == pytest.approx(2 / 3)
    expected = (3 * abs((0.95 + 0.91 + 1.0) / 3 - 2 / 3) + (1 - 0.15)) / 4
    assert calibration.error == pytest.approx(expected)
    assert calibrate([]).error == 0


def test_the_words_name_the_fault():
    objects = [(v, 1 + v % 2, square(8 + 10 * v)) for v in range(1, 7)]
    ground_truth = truth(*objects, num_videos=6)
    perfect = [entry(video, category, masks, 0.9) for video, category, masks in objects]
    shifted = [entry(v, c, np.roll(m, 7, axis=2), 0.9) for v, c, m in objects]
    assert analyse(ground_truth, perfect).sentences() == ['nothing is wrong at IoU 0.5']
    worst = analyse(ground_truth, shifted)
    assert worst.sentences()[0].startswith('Spat: 6 times')
    assert '100.0 instead of 0.0 (100 % of what is lost)' in worst.sentences()[0]
    tables = analysis_tables(worst)
    assert '| Spat     | 6     | +100.0' in tables
    assert 'HOTA' in tables
    videos = video_table(worst, {1: 'first'})
    assert '| first | 1 ' in videos
    both = comparison_table({'a.json': worst, 'b.json': analyse(ground_truth, perfect)})
    assert '| AP50 lost by Spat | 100.0  | 0.0    |' in both


def test_words_where_no_kind_of_error_explains_it_alone():
    analysis = analyse(truth(CAT), [entry(1, 1, square(80), 0.9)])
    assert analysis.sentences() == [
        'AP50 is 0.0; no kind of error explains it alone: Bkg 1, Miss 1'
    ]


def test_words_where_wrong_predictions_cost_nothing():
    entries = [entry(1, 1, square(8), 0.9), entry(1, 1, square(80), 0.2)]
    assert analyse(truth(CAT), entries).sentences() == [
        'nothing is lost at IoU 0.5: wrong predictions score less (Bkg 1)'
    ]


def test_a_submission_without_predictions():
    analysis = analyse(truth(CAT), [])
    assert analysis.errors.delta_ap()['FalseNeg'] == 1
    assert analysis.tracking.hota == 0
    assert analysis.sentences()[0].startswith('Miss: 1 times')


@pytest.mark.parametrize('case', ['small', 'medium', 'perfect', 'ovis', 'empty'])
def test_golden_submissions_are_analysed(case):
    roots = (GOLDENS / 'evaluation', SHARED / 'goldens' / 'evaluation')
    folders = [root / case for root in roots if (root / case).is_dir()]
    if not folders:
        pytest.skip('../shared/goldens is absent')
    ground_truth = parse_ground_truth(json.loads((folders[0] / 'gt.json').read_text()))
    analysis = analyse(ground_truth, json.loads((folders[0] / 'results.json').read_text()))
    assert analysis.errors.ap == pytest.approx(analysis.evaluation.stats['AP50'])
    if case == 'perfect':
        assert analysis.sentences() == ['nothing is wrong at IoU 0.5']
    if case == 'ovis':
        assert {'light', 'medium', 'heavy'} & set(analysis.slices['occlusion'])
