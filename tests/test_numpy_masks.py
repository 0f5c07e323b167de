"""Masks and trackers in numpy give what they give with tensors of torch."""

import numpy as np
import pytest
import torch

from tevit_vis import masks as torch_masks
from tevit_vis import numpy_masks
from tevit_vis.arrays import softmax
from tevit_vis.mask_pasting import paste_masks
from tevit_vis.rle import encode_masks
from tevit_vis.structures import ClipPrediction
from tevit_vis.tracking import align_queries, build_tracker, join_frames


def random_maps(seed, *shape):
    return np.random.default_rng(seed).normal(0, 3, shape).astype(np.float32)


@pytest.mark.parametrize('cells', [None, (5.0, 7.0), (5.5, 7.25), (6, 8)])
@pytest.mark.parametrize('size', [(24, 33), (4, 5), (100, 61)])
def test_maps_are_resized_alike(cells, size):
    maps = random_maps(1, 3, 6, 8)
    expected = torch_masks.resize_to_frame(torch.from_numpy(maps), size, cells).numpy()
    found = numpy_masks.resize_to_frame(maps, size, cells)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_masks_are_pasted_alike():
    rng = np.random.default_rng(2)
    boxes = rng.uniform(-30, 90, (60, 4)).astype(np.float32)
    boxes[:50, 2:] = boxes[:50, :2] + rng.uniform(0, 60, (50, 2))
    boxes[0] = (5, 5, 5, 5)
    boxes[1] = (200, 200, 220, 220)
    maps = rng.random((60, 28, 28)).astype(np.float32)
    expected = paste_masks(torch.from_numpy(maps), torch.from_numpy(boxes), (50, 70)).numpy()
    found = numpy_masks.paste_masks(maps, boxes, (50, 70))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert (found.any((1, 2)) == expected.any((1, 2))).all()


def test_boxes_and_runs_are_alike():
    masks = random_maps(3, 4, 3, 6, 8) > 2
    for cells in (None, (5.5, 7.25)):
        expected = torch_masks.mask_extents(torch.from_numpy(masks), (60, 90), cells).numpy()
        np.testing.assert_allclose(numpy_masks.mask_extents(masks, (60, 90), cells), expected)
    assert encode_masks(masks[0]) == encode_masks(torch.from_numpy(masks[0]))


def predictions(seed, kind, num=5, frames=3):
    """A prediction in torch, and the same one in numpy."""
    rng = np.random.default_rng(seed)
    size, classes = (48, 64), 3
    logits = random_maps(seed, num, frames, 12, 16)
    low = rng.uniform(0, 30, (num, frames, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 30, (num, frames, 2))], -1)
    class_scores = softmax(random_maps(seed + 1, num, classes + 1), 1)[:, :-1]
    arrays = dict(
        queries=np.arange(num), labels=class_scores.argmax(1), scores=class_scores.max(1),
        class_scores=class_scores, boxes=boxes.astype(np.float32),
        embeddings=random_maps(seed + 2, num, 8),
    )  # fmt: skip
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    if kind == 'roi':
        ours = torch_masks.RoIMasks(torch.from_numpy(logits), size, 0.4, tensors['boxes'])
        theirs = numpy_masks.ArrayRoIMasks(logits, size, 0.4, arrays['boxes'])
    else:
        ours = torch_masks.ResizedMasks(torch.from_numpy(logits), size, 0.4, (11.5, 16.0))
        theirs = numpy_masks.ArrayResizedMasks(logits, size, 0.4, (11.5, 16.0))
    return ClipPrediction(**tensors, masks=ours), ClipPrediction(**arrays, masks=theirs)


def assert_near(expected, found):
    assert expected.labels.tolist() == found.labels.tolist()
    np.testing.assert_allclose(expected.scores, found.scores, rtol=1e-5)
    np.testing.assert_allclose(expected.boxes, found.boxes, atol=1e-3)
    for t in range(expected.num_frames):
        differing = (expected.masks(t) != found.masks(t)).sum()
        assert differing <= 1e-3 * expected.masks(t).size


@pytest.mark.parametrize('kind', ['roi', 'resized'])
def test_clips_are_encoded_alike(kind):
    for num in (5, 0):
        ours, theirs = predictions(7, kind, num)
        assert_near(torch_masks.encode_clip(ours), numpy_masks.encode_clip(theirs))


TRACKERS = [
    dict(type='SoftIoUStitcher', min_iou=0.01, min_score=0.05),
    dict(type='SoftIoUStitcher', min_iou=0.6, min_score=0.05, memory=5, min_similarity=0.1),
    dict(type='QueryLinker', min_score=0.05),
    dict(
        type='QueryLinker', min_score=0.05, similarity='cosine', assignment='best_sum', fuses=False
    ),
]


@pytest.mark.parametrize('kind', ['roi', 'resized'])
@pytest.mark.parametrize('config', TRACKERS)
def test_trackers_take_both(config, kind):
    results = []
    for side in (0, 1):
        tracker, frames = build_tracker(config), []
        numbers = []
        for n, start in enumerate((0, 2, 4, 6)):
            frames += tracker.close(before=start)
            window = predictions(n // 2, kind, num=0 if n == 3 else 5)[side]
            numbers.append(tracker.add(range(start, start + 3), window))
        frames += tracker.close()
        results.append((numbers, join_frames(frames, tracker.min_score)))
    assert results[0][0] == results[1][0]
    assert len(results[0][1])
    assert_near(results[0][1], results[1][1])


def test_queries_are_aligned_alike():
    queries = random_maps(5, 4, 6, 8)
    assert (align_queries(queries) == align_queries(torch.from_numpy(queries))).all()
