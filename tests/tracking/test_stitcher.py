"""Windows of a video, joined to tracks: by hand, and as the official IFC does it."""

from collections import Counter

import numpy as np
import pytest
import torch
from builders import GOLDENS

from tevit_vis.masks import ResizedMasks
from tevit_vis.rle import decode_rle
from tevit_vis.structures import ClipPrediction
from tevit_vis.tracking import (
    SoftIoUStitcher,
    Windows,
    build_tracker,
    cut_windows,
    join_frames,
    windows_of,
)
from tevit_vis.utils.errors import InputError

GOLDEN = GOLDENS / 'ifc' / 'tiny' / 'expected_test.npz'
SIZE = (8, 12)


@pytest.mark.parametrize(
    ('num_frames', 'length', 'stride', 'starts'),
    [
        (7, 3, 1, [0, 1, 2, 3, 4]),
        (7, 3, 3, [0, 3, 4]),  # the last window is moved back
        (6, 3, 3, [0, 3]),
        (3, 5, 1, [0]),
        (1, 1, 1, [0]),
    ],
)
def test_windows_cover_the_video(num_frames, length, stride, starts):
    read = []
    frames = (read.append(number) or number for number in range(num_frames))
    found = []
    for numbers, window in cut_windows(frames, Windows(length, stride)):
        assert list(numbers) == window
        assert len(window) == min(length, num_frames)
        assert len(read) == numbers.stop  # no frame is read before it is needed
        found.append(numbers)
    assert [window.start for window in found] == starts
    assert {frame for window in found for frame in window} == set(range(num_frames))


GOOD = dict(length=3, stride=1)


@pytest.mark.parametrize(
    ('config', 'words'),
    [
        ({**GOOD, 'stride': 4}, 'stride: must be at most the 3 frames'),
        ({**GOOD, 'length': 0}, 'length: must be a whole number >= 1'),
        ({**GOOD, 'length': 'a'}, 'length: must be a whole number >= 1'),
        ({**GOOD, 'stride': 1.5}, 'stride: must be a whole number >= 1'),
        ({**GOOD, 'min_iou': 0.1}, 'min_iou: must be left out: it is model.test_cfg.tracker.min'),
        ({**GOOD, 'overlap': 1}, 'must be None or have length and stride'),
        (5, 'must be None or have length'),
    ],
)
def test_windows_that_cannot_be(config, words):
    with pytest.raises(InputError, match=f'model.test_cfg.windows.*{words}'):
        windows_of(config)


def test_without_a_length_a_video_is_one_clip():
    assert windows_of(GOOD) == Windows(3, 1)
    assert windows_of({**GOOD, 'length': None}) is None
    assert windows_of(None) is None


STITCHER = dict(type='SoftIoUStitcher', min_iou=0.1, min_score=0.2)


@pytest.mark.parametrize(
    ('config', 'words'),
    [
        ({**STITCHER, 'min_iou': 2}, '.min_iou: must be a number from 0 to 1, but got 2'),
        ({**STITCHER, 'min_score': None}, '.min_score: must be a number from 0 to 1'),
        ({**STITCHER, 'overlap': 1}, " cannot be built: .* argument 'overlap'"),
        ({**STITCHER, 'type': 'SoftIouStitcher'}, " .*did you mean 'SoftIoUStitcher'"),
        (dict(min_iou=0.1), ": must be dict.type='SoftIoUStitcher'"),
        (None, ": must be dict.type='SoftIoUStitcher'"),
    ],
)
def test_trackers_that_cannot_be(config, words):
    with pytest.raises(InputError, match=f'model.test_cfg.tracker{words}'):
        build_tracker(config)


def predicted(scores, boxes, logits, cells=None):
    count = len(scores)
    return ClipPrediction(
        queries=torch.arange(count),
        labels=torch.zeros(count, dtype=torch.long),
        scores=torch.zeros(count),
        class_scores=scores,
        boxes=boxes,
        masks=ResizedMasks(logits, tuple(logits.shape[2:]), 0.5, cells),
    )


def stitcher_of(min_iou: float) -> SoftIoUStitcher:
    return SoftIoUStitcher(min_iou, min_score=0.3)


def logits_of(places: list[list[int]]) -> torch.Tensor:
    """[N, T, 8, 12] with an object of 4 x 3 cells at each place (column), or none for -1."""
    logits = torch.full((len(places), len(places[0]), *SIZE), -9.0)
    for n, track in enumerate(places):
        for t, place in enumerate(track):
            if place >= 0:
                logits[n, t, 2:6, place : place + 3] = 9.0
    return logits


def add(
    stitcher: SoftIoUStitcher, start: int, places: list[list[int]], labels: list[int]
) -> list[int]:
    logits = logits_of(places)
    scores = torch.zeros(len(places), 3)
    scores[torch.arange(len(places)), torch.tensor(labels, dtype=torch.long)] = 0.8
    boxes = torch.ones(*logits.shape[:2], 4)
    return stitcher.add(range(start, start + logits.shape[1]), predicted(scores, boxes, logits))


def test_a_track_goes_on_where_masks_overlap_and_a_newcomer_starts_one():
    stitcher = stitcher_of(0.3)
    assert add(stitcher, 0, [[0, 1, 2], [8, 8, 8]], [0, 1]) == [0, 1]
    assert add(stitcher, 1, [[8, 8, 8], [1, 2, 3]], [1, 2]) == [1, 0]  # order does not matter
    # The first lies a third on the other's last place: an IoU of 1/5 is not enough.
    assert add(stitcher, 3, [[5, 5], [8, 8]], [0, 1]) == [2, 1]
    found = join_frames(stitcher.close(), min_score=0.3)
    # The first was called 0 and then 2, with .4 on average.
    assert found.labels.tolist() == [0, 2, 1, 0]
    np.testing.assert_allclose(found.scores, [0.4, 0.4, 0.8, 0.8])
    assert found.num_frames == 5
    masks = np.array([[decode_rle(rle) for rle in track] for track in found.segmentations])
    assert masks.sum(axis=(2, 3)).tolist() == [
        [12, 12, 12, 12, 0],
        [12, 12, 12, 12, 0],
        [12] * 5,
        [0, 0, 0, 12, 12],
    ]
    assert found.boxes[2].tolist() == [[1.0] * 4] * 5


def test_a_mask_is_that_of_the_mean_over_all_windows_that_saw_the_frame():
    stitcher = stitcher_of(0.0)
    for start, logit in enumerate((4.0, -1.0, -1.0)):
        logits = torch.full((1, 3, *SIZE), logit)
        stitcher.add(
            range(start, start + 3),
            predicted(torch.ones(1, 2), torch.full((1, 3, 4), logit), logits),
        )
    found = join_frames(stitcher.close(), min_score=0.3)
    areas = [int(decode_rle(mask).sum()) for mask in found.segmentations[0]]
    # Frames 0 to 4 were seen once, twice, three times, twice and once.
    assert areas == [96, 96, 96, 0, 0]
    assert found.boxes[0, :, 0].tolist() == pytest.approx([4, 1.5, 2 / 3, -1, -1])


def test_no_instance_at_all():
    stitcher = stitcher_of(0.05)
    closed = []
    for start in range(1000):
        closed += stitcher.close(before=start)
        assert stitcher.add(range(start, start + 2), predicted(*no_instances())) == []
        assert len(stitcher.past_windows) <= 2
    found = join_frames(closed + stitcher.close(), min_score=0.3)
    assert len(found) == 0
    assert found.num_frames == 1001


def no_instances() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.zeros(0, 3), torch.zeros(0, 2, 4), torch.zeros(0, 2, *SIZE)


def test_what_is_held_does_not_grow_with_the_video():
    """An instance throughout, and one of a new track at every window."""
    stitcher = stitcher_of(0.05)
    held, closed = [], []
    for start in range(50):
        closed += stitcher.close(before=start)
        fleeting = 6 if start % 2 else -1
        add(stitcher, start, [[0, 0, 0], [fleeting, -1, -1]], [0, 1])
        frames = sum(len(track.frames) for track in stitcher.store.open.values())
        held.append((frames, len(stitcher.store.open), len(stitcher.past_windows)))
        assert [found.frame for found in closed] == list(range(start))
    assert max(held[3:]) == held[3]
    assert stitcher.store.num_tracks == 51
    closed += stitcher.close()
    assert len(closed) == 52
    assert not stitcher.store.open
    assert not stitcher.past_windows
    assert stitcher.close() == []
    assert all(0 in found.tracks for found in closed)
    # The fleeting ones were in three frames each.
    lengths = Counter(number for found in closed for number in found.tracks if number)
    assert lengths == dict.fromkeys(range(1, 51), 3)


def test_the_last_frame_of_a_track_knows_all_its_windows():
    stitcher = stitcher_of(0.05)
    for start, score in enumerate((0.2, 0.4, 0.9)):
        frames = range(start, start + 3)
        logits = logits_of([[2, 2, 2]])
        stitcher.add(frames, predicted(torch.tensor([[score]]), torch.ones(1, 3, 4), logits))
    closed = stitcher.close()
    assert [found.class_scores[0, 0] for found in closed] == pytest.approx([0.5] * 5)
    joined = join_frames(closed, min_score=0.3)
    assert joined.scores == pytest.approx([0.5])
    numbers, best = closed[4].to_video_instances(0.4)
    assert numbers == [0]
    assert best.labels.tolist() == [0]
    assert best.segmentations == [[closed[4].masks[0]]]
    assert closed[4].to_video_instances(0.6)[0] == []


def test_a_thousand_tracks():
    """The official tracker ends at 50."""
    stitcher = SoftIoUStitcher(0.05, 0.3)
    logits = torch.full((1000, 2, 8, 125), -9.0)
    cells = torch.arange(1000)
    logits[cells, :, cells % 8, cells // 8] = 9.0
    order = torch.randperm(1000, generator=torch.Generator().manual_seed(0))
    scores, boxes = torch.ones(1000, 1), torch.zeros(1000, 2, 4)
    assert stitcher.add(range(2), predicted(scores, boxes, logits)) == list(range(1000))
    assert stitcher.add(range(1, 3), predicted(scores, boxes, logits[order])) == order.tolist()
    found = join_frames(stitcher.close(), min_score=0.3)
    assert len(found) == 1000
    masks = decode_rle(found.segmentations[777][2])
    assert np.argwhere(masks).tolist() == [[777 % 8, 777 // 8]]


def test_tracks_are_those_of_the_official_ifc():
    stored = np.load(GOLDEN)
    stitcher = SoftIoUStitcher(0.05, 0.01)
    closed = []
    for clip in range(int(stored['v1.num_clips'])):
        part = {
            name: stored[f'v1.clip{clip}.{name}']
            for name in ('frame_idx', 'kept', 'siou', 'saved_idx', 'pred_logits', 'pred_masks')
        }
        frames = range(int(part['frame_idx'][0]), int(part['frame_idx'][-1]) + 1)
        scores = torch.from_numpy(part['pred_logits']).softmax(-1)[part['kept'], :-1]
        logits = torch.from_numpy(part['pred_masks'])[part['kept']]
        overlaps = np.zeros_like(part['siou'])
        overlaps[list(stitcher.store.open)] = stitcher.overlaps(frames, logits.sigmoid())
        np.testing.assert_allclose(overlaps, part['siou'], atol=1e-5)
        boxes = torch.zeros(*logits.shape[:2], 4)
        closed += stitcher.close(before=frames.start)
        numbers = stitcher.add(frames, predicted(scores, boxes, logits))
        assert numbers == part['saved_idx'].tolist()
    found = join_frames(closed + stitcher.close(), min_score=0.01)
    assert found.labels.tolist() == stored['v1.pred_labels'].tolist()
    np.testing.assert_allclose(found.scores, stored['v1.pred_scores'], atol=1e-6)
