"""Of tracks that cover each other people see the best one."""

import numpy as np
import pytest
import torch

from tevit_vis.rle import encode_masks
from tevit_vis.structures import FrameInstances, VideoInstances
from tevit_vis.tracking import OverlapFilter, drop_overlaps
from tevit_vis.utils.errors import InputError

SIZE = (40, 60)


def square(left, width=20):
    mask = np.zeros(SIZE, bool)
    mask[10:30, max(0, left) : max(0, left + width)] = True
    return mask


def make_video(tracks, scores):
    """Instances from the masks of each in each frame, None where it has none."""
    num_frames = len(tracks[0])
    rles = [
        [None if m is None else encode_masks(torch.from_numpy(m[None]))[0] for m in masks]
        for masks in tracks
    ]
    boxes = np.zeros((len(tracks), num_frames, 4), np.float32)
    labels = np.arange(len(tracks)) % 3
    return VideoInstances(labels, np.array(scores, np.float32), boxes, rles, SIZE)


def crossing():
    """Two that move through each other, and a third that is nearly the first."""
    first = [square(2 * t) for t in range(20)]
    second = [square(38 - 2 * t) for t in range(20)]
    return [first, second, [square(2 * t + 1) for t in range(20)]]


def test_the_lower_of_two_that_cover_each_other_goes():
    video = make_video(crossing(), [0.5, 0.9, 0.8])
    kept = drop_overlaps(video, 0.8)
    assert kept.scores.tolist() == pytest.approx([0.9, 0.8])
    assert len(drop_overlaps(video, 1.0)) == 3
    assert len(drop_overlaps(make_video(crossing(), [0.9, 0.5, 0.8]), 0.8)) == 2


def test_a_short_fragment_of_a_longer_track_goes():
    first, second, _ = crossing()
    fragment = [mask if 5 <= t < 9 else None for t, mask in enumerate(first)]
    once = [first[0], *[None] * 8, second[0], *[None] * 10]  # covers each in half of its frames
    kept = drop_overlaps(make_video([first, second, fragment, once], [0.9, 0.8, 0.7, 0.6]), 0.8)
    assert 0.7 not in kept.scores.round(1)
    passing = [square(2 * t) if t < 3 else square(0) for t in range(20)]
    assert len(drop_overlaps(make_video([first, passing], [0.9, 0.8]), 0.8)) == 2


def stream(tracks, scores_by_frame):
    video = make_video(tracks, [0.5] * len(tracks))
    for t, scores in enumerate(scores_by_frame):
        found = video.to_frame_instances(t, 3)
        class_scores = np.zeros((len(found.tracks), 3), np.float32)
        class_scores[:, 1] = [scores[track] for track in found.tracks]
        yield FrameInstances(
            t, found.tracks, class_scores, found.boxes, found.masks, SIZE, time=t / 10
        )


def test_streams_drop_them_frame_by_frame_and_do_not_flicker():
    first, second, near = crossing()
    scores = [(0.9, 0.5, 0.6) if t < 5 else (0.6, 0.5, 0.9) for t in range(20)]
    keep = OverlapFilter(0.8)
    kept = [keep(found) for found in stream([first, second, near], scores)]
    assert [found.tracks for found in kept] == [[0, 1]] * 20  # the first choice stays
    assert [found.frame for found in kept] == list(range(20))
    assert kept[3].time == pytest.approx(0.3)


def test_streams_keep_those_that_part():
    together = [square(5)] * 4 + [square(5 + 8 * t) for t in range(5)]
    alone = [square(5)] * 9
    keep = OverlapFilter(0.8)
    kept = [keep(found) for found in stream([together, alone], [(0.9, 0.5)] * 9)]
    assert [len(found.tracks) for found in kept] == [1] * 5 + [1] + [2] * 3


def test_state_of_a_stream_does_not_grow():
    keep = OverlapFilter(0.8)
    mask = encode_masks(torch.from_numpy(square(5)[None]))[0]
    scores, boxes = np.full((2, 3), 0.5, np.float32), np.zeros((2, 4), np.float32)
    for t in range(1000):
        keep(FrameInstances(t, [2 * t, 2 * t + 1], scores, boxes, [mask] * 2, SIZE))
    assert len(keep.overlaps.sums) <= 101
    assert len(keep.overlaps.num_frames) <= 202
    assert len(keep.winners) <= 101


def test_nothing_is_found_in_nothing():
    empty = make_video([[None] * 3], [0.5]).select(np.zeros(0, np.int64))
    assert len(drop_overlaps(empty, 0.5)) == 0
    for wrong in (1.5, -1, 'x'):
        with pytest.raises(InputError, match='max_overlap: must be a number from 0 to 1'):
            OverlapFilter(wrong)
