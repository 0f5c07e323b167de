import numpy as np
import pytest

from tevit_vis.datasets.clip_sampler import (
    build_clip_sampler,
    key_then_any,
    near_key,
    near_then_far,
)
from tevit_vis.utils.errors import InputError

FRAMES = np.array([0, 2, 3, 5, 8, 9, 12, 20, 21, 30])


def draws(rule, frames, key, length, count=200, **options):
    return [
        rule(frames, key, length, np.random.default_rng(seed), **options) for seed in range(count)
    ]


def test_tevit_takes_the_key_first_and_others_distinct_from_anywhere():
    clips = draws(key_then_any, FRAMES, 3, 5)
    assert all(clip[0] == 5 and len(set(clip.tolist())) == 5 for clip in clips)
    assert set(np.concatenate(clips).tolist()) == set(FRAMES.tolist())
    assert any((np.diff(clip) < 0).any() for clip in clips)  # not in order of time


def test_seqformer_takes_neighbours_within_three_and_the_rest_from_outside():
    for clip in draws(near_then_far, FRAMES, 5, 5):
        assert (np.diff(clip) > 0).all()
        near = [np.flatnonzero(frame == FRAMES)[0] for frame in clip]
        key = near.index(5)
        before, after = 5 - near[key - 1], near[key + 1] - 5
        assert 1 <= before <= 3
        assert 1 <= after <= 3


def test_seqformer_clamps_at_the_ends_of_the_video():
    first = draws(near_then_far, FRAMES, 0, 3)
    assert all((clip[:2] == 0).all() for clip in first)
    assert {int(clip[2]) for clip in first} == {2, 3, 5}


def test_ifc_stays_in_its_window_and_may_repeat():
    clips = draws(near_key, np.arange(100), 50, 5, reach=20)
    every = np.concatenate(clips)
    assert every.min() == 30
    assert every.max() == 70
    assert all(50 in clip and (np.diff(clip) >= 0).all() for clip in clips)
    assert any(len(set(clip.tolist())) < 5 for clip in clips)


@pytest.mark.parametrize('rule', [key_then_any, near_then_far, near_key])
@pytest.mark.parametrize('length', [1, 2, 5])
def test_short_videos_repeat_frames(rule, length):
    for frames in (np.array([4]), np.array([4, 6])):
        for clip in draws(rule, frames, len(frames) - 1, length, count=20):
            assert len(clip) == length
            assert frames[-1] in clip
            assert set(clip.tolist()) <= set(frames.tolist())


def test_two_usable_frames_are_both_taken_before_any_repeats():
    for clip in draws(key_then_any, np.array([4, 6]), 0, 5, count=20):
        assert set(clip.tolist()) == {4, 6}


@pytest.mark.parametrize(
    ('length', 'rule', 'message'),
    [
        (5, {'type': 'mask2former'}, 'type must be one of tevit, seqformer, ifc'),
        (5, {'type': 'tevit', 'reach': 3}, "'tevit' has no option 'reach'"),
        (5, {'type': 'ifc', 'reach': 0}, 'reach: must be a whole number >= 1, but got 0'),
        (0, {'type': 'ifc'}, 'clip_length: must be a whole number >= 1, but got 0'),
    ],
)
def test_bad_rules_are_refused(length, rule, message):
    with pytest.raises(InputError, match=message):
        build_clip_sampler(length, rule)
