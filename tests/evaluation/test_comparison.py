"""Two submissions compared, and how objects are followed frame by frame."""

import numpy as np
import pytest
from tube_cases import LENGTH, entry, random_case, square, truth

from tevit_vis.evaluation.analysis import analyse
from tevit_vis.evaluation.comparison import compare, sampled_ap


def cats(num_videos, scores, shift=0):
    """Ground truth of one cat a video, and predictions with these scores, shifted."""
    objects = [(v, 1, square(8)) for v in range(1, num_videos + 1)]
    entries = [
        entry(v, 1, np.roll(square(8), shift, axis=2), score)
        for v, score in enumerate(scores, start=1)
        if score
    ]
    return truth(*objects, num_videos=num_videos), entries


@pytest.mark.parametrize('seed', range(20))
def test_draws_of_videos_score_as_the_metric_would(seed):
    """A draw that takes each video once gives the AP; one without a video, that of the others."""
    ground_truth, entries = random_case(seed)
    analysis = analyse(ground_truth, entries)
    videos = sorted(ground_truth.lengths)
    draws = np.ones((len(videos) + 1, len(videos)), int)
    for column in range(len(videos)):
        draws[column + 1, column] = 0
    sampled = sampled_ap(analysis.errors, videos, draws)
    assert sampled[0] == pytest.approx(analysis.errors.ap, abs=1e-12)
    for column, left_out in enumerate(videos):
        rest = truth_without(ground_truth, left_out)
        others = [each for each in entries if each['video_id'] != left_out]
        expected = max(0.0, analyse(rest, others).errors.ap)
        assert sampled[column + 1] == pytest.approx(expected, abs=1e-12)


def truth_without(ground_truth, video):
    tubes = {key: value for key, value in ground_truth.tubes.items() if key[0] != video}
    lengths = {key: value for key, value in ground_truth.lengths.items() if key != video}
    return type(ground_truth)(lengths, ground_truth.categories, tubes)


def test_a_better_run_is_called_better():
    ground_truth, few = cats(20, [0.9] * 5 + [0] * 15)
    _, all_of_them = cats(20, [0.9] * 20)
    first, second = analyse(ground_truth, few), analyse(ground_truth, all_of_them)
    comparison = compare(first, second)
    assert comparison.interval[0] > 0
    assert comparison.sentence().startswith('AP50 +7')
    assert ': better; 15 objects are newly found, 0 are lost' in comparison.sentence()
    assert (comparison.both, comparison.neither) == (5, 0)
    assert [video.video for video in comparison.videos] == list(range(6, 21))
    assert comparison.report()['videos']['6'] == dict(AP50=1.0, HOTA=1.0, found=1, lost=0)
    back = compare(second, first)
    assert ': worse; 0 objects are newly found, 15 are lost' in back.sentence()
    assert back.interval == pytest.approx((-comparison.interval[1], -comparison.interval[0]))


def test_equal_runs_are_not_told_apart():
    ground_truth, entries = cats(6, [0.9] * 6)
    analysis = analyse(ground_truth, entries)
    comparison = compare(analysis, analysis)
    assert comparison.videos == []
    assert comparison.interval == (0, 0)
    assert 'no different for certain' in comparison.sentence()


def test_a_difference_of_one_video_is_not_certain():
    ground_truth, entries = cats(6, [0.9] * 6)
    comparison = compare(analyse(ground_truth, entries[:5]), analyse(ground_truth, entries))
    assert comparison.ap50 > 0
    assert comparison.interval[0] == 0
    assert 'no different for certain' in comparison.sentence()


def test_a_few_videos_say_nothing_about_others():
    ground_truth, entries = cats(1, [0.9])
    comparison = compare(analyse(ground_truth, []), analyse(ground_truth, entries))
    assert comparison.sentence().startswith('AP50 +100.0; too few videos to say')


def test_timelines_by_hand():
    """A cat that another track takes over in frame 4, and that nobody follows in frame 6."""
    ground_truth = truth((1, 1, square(8)), (1, 1, square(60, frames=[0, 1])))
    results = [
        entry(1, 1, square(8, frames=range(4)), 0.9),
        entry(1, 1, square(8, frames=[4, 5, 7]), 0.8),
        entry(1, 1, square(12, frames=[6]), 0.2),  # scores too little to count
    ]
    first, second = analyse(ground_truth, results).timelines[1]
    assert first.matches == [0, 0, 0, 0, 1, 1, -1, 1]
    assert first.ious == [1, 1, 1, 1, 1, 1, 0, 1]
    assert (first.switches, first.losses) == ([4], [6])
    assert second.matches == [-1] * LENGTH
    assert second.losses == []  # what was never followed is not lost


def test_switches_of_timelines_are_those_of_the_scores():
    for seed in range(10):
        ground_truth, entries = random_case(seed)
        analysis = analyse(ground_truth, entries, min_score=0)
        for video, lines in analysis.timelines.items():
            switches = sum(len(line.switches) for line in lines)
            assert switches == analysis.videos[video].tracking.switches
