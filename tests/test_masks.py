import numpy as np
import pytest
import torch

from tevit_vis.mask_pasting import _paste_whole_frames, num_masks_at_once, paste_masks
from tevit_vis.masks import ResizedMasks, RoIMasks, encode_clip, mask_extents
from tevit_vis.rle import (
    decode_rle,
    encode_masks,
    encode_runs,
    find_runs,
    mask_areas,
    mask_boxes,
    overlap_fractions,
    to_rle,
)
from tevit_vis.structures import ClipPrediction


def test_encode_masks_gives_coco_counts_by_column():
    mask = torch.zeros(1, 3, 4, dtype=torch.bool)
    mask[0, 1, 2] = mask[0, 2, 2] = True  # columns first: 7 zeros, 2 ones, 3 zeros
    (rle,) = encode_masks(mask)
    assert rle == {'size': [3, 4], 'counts': '723'}
    assert (decode_rle(rle) == mask[0].numpy()).all()


def test_mask_areas_count_pixels_per_frame():
    (rle,) = encode_masks(torch.ones(1, 3, 4, dtype=torch.bool))
    assert mask_areas([rle, None, rle]).tolist() == [12, 0, 12]
    assert mask_areas([None]).tolist() == [0]


def test_areas_and_boxes_of_long_tracks_are_those_of_each_frame():
    masks = torch.zeros(300, 9, 40, dtype=torch.bool)
    for t in range(300):
        masks[t, 2:5, t % 30 : t % 30 + 1 + t % 7] = True
    track = [None, *encode_masks(masks)]
    assert mask_areas(track).tolist() == [0] + [3 * (1 + t % 7) for t in range(300)]
    assert mask_boxes(track)[1:].tolist() == [[t % 30, 2, 1 + t % 7, 3] for t in range(300)]


def test_overlap_shares_of_all_pairs():
    masks = torch.zeros(3, 4, 5, dtype=torch.bool)
    masks[0, :2], masks[1, 1:3], masks[2, :, :2] = True, True, True
    a, b, c = encode_masks(masks)
    (other,) = encode_masks(torch.ones(1, 3, 5, dtype=torch.bool))
    assert overlap_fractions([a, b], [b, c, other]).tolist() == [[0.5, 0.4, -1], [1, 0.4, -1]]


@pytest.mark.parametrize(
    'mask', [{'size': [3, 4], 'counts': [7, 2, 3]}, [[2.0, 1.0, 3.0, 1.0, 3.0, 3.0, 2.0, 3.0]]]
)
def test_to_rle_takes_counts_and_polygons(mask):
    assert to_rle(mask, 3, 4) == {'size': [3, 4], 'counts': '723'}


def test_encode_masks_of_no_instance():
    assert encode_masks(torch.zeros(0, 3, 4, dtype=torch.bool)) == []


def test_paste_masks_fills_its_box():
    pasted = paste_masks(torch.ones(1, 4, 4), torch.tensor([[2.0, 1.0, 6.0, 5.0]]), (8, 10))
    inside = pasted[0] >= 0.999
    assert inside.nonzero().min(0).values.tolist() == [1, 2]
    assert inside.nonzero().max(0).values.tolist() == [4, 5]
    assert pasted[0, 0].sum() == 0


@pytest.mark.parametrize(
    'box',
    [
        [-9.0, 1.0, -2.0, 5.0],
        [12.0, 1.0, 20.0, 5.0],
        [1.0, -9.0, 4.0, -1.0],
        [1.0, 8.0, 4.0, 12.0],
        [4.0, 4.0, 4.0, 6.0],
        [6.0, 4.0, 3.0, 6.0],
    ],
)
def test_a_box_outside_the_frame_or_without_area_is_an_empty_mask(box):
    pasted = paste_masks(torch.ones(1, 4, 4), torch.tensor([box]), (8, 10))
    assert pasted.shape == (1, 8, 10)
    assert pasted.sum() == 0


def test_a_box_across_the_border_is_cut():
    pasted = paste_masks(torch.ones(1, 4, 4), torch.tensor([[-4.0, -4.0, 4.0, 4.0]]), (8, 10))
    assert (pasted[0, :3, :3] > 0.99).all()
    assert pasted[0, 5:].sum() == 0


def test_encode_clip_gives_each_instance_its_own_frames():
    # Instance n in frame t fills the box from column 2n to 2n + 2, row t to t + 1.
    boxes = torch.tensor([[[2.0 * n, t, 2.0 * n + 2, t + 1] for t in range(3)] for n in range(2)])
    masks = RoIMasks(torch.full((2, 3, 4, 4), 9.0), (4, 5), threshold=0.5, boxes=boxes)
    clip = ClipPrediction(
        queries=torch.tensor([4, 1]),
        labels=torch.tensor([7, 3]),
        scores=torch.tensor([0.5, 0.25]),
        class_scores=torch.zeros(2, 9),
        boxes=boxes,
        masks=masks,
    )
    instances = encode_clip(clip)
    assert instances.labels.tolist() == [7, 3]
    for n in range(2):
        for t in range(3):
            expected = np.zeros((4, 5), bool)
            expected[t, 2 * n : 2 * n + 2] = True
            assert (decode_rle(instances.segmentations[n][t]) == expected).all()


def test_threshold_is_inclusive():
    masks = RoIMasks(torch.zeros(1, 1, 2, 2), (4, 4), 0.5, torch.tensor([[[0.0, 0, 4, 4]]]))
    assert masks.frame(0)[0, 1:3, 1:3].all()  # sigmoid(0) is the threshold


def test_extents_are_boxes_around_small_masks():
    masks = torch.zeros(2, 2, 4, 8, dtype=torch.bool)
    masks[0, 1, 1:3, 2] = True
    masks[1, 0] = True
    boxes = mask_extents(masks, size=(40, 160))
    assert boxes.tolist() == [
        [[0, 0, 0, 0], [40, 10, 60, 30]],
        [[0, 0, 160, 40], [0, 0, 0, 0]],
    ]
    assert mask_extents(masks[:0], (40, 160)).shape == (0, 2, 4)


def test_small_masks_are_resized_bilinearly():
    """Cell centres lie at pixels 0.5 and 2.5 of each axis: what lies between is a mean of both."""
    logits = torch.tensor([[[[4.0, -1.0], [-5.0, -5.0]]]])
    found = ResizedMasks(logits, (4, 4), 0.5).frame(0)[0]
    # The second row and column weigh 0, 1/4, 3/4 and 1; at the third pixel 4 / 4 - 3 / 4 > 0.
    assert found.int().tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_masks_in_boxes_become_maps_of_the_same_shape():
    """Discs in boxes, one of them across the border, against what pasting at full size gives."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 28), torch.linspace(-1, 1, 28), indexing='ij')
    disc = 20 * (0.8 - (x**2 + y**2).sqrt())
    boxes = torch.tensor([[10.0, 8, 90, 70], [-30, 40, 40, 110]])[:, None].repeat(1, 2, 1)
    boxes[:, 1] += 7
    for threshold in (0.5, 0.3):
        masks = RoIMasks(disc.expand(2, 2, 28, 28), (97, 130), threshold, boxes)
        maps = ResizedMasks(masks.maps(), masks.size, 0.5)
        assert maps.logits.shape == (2, 2, 25, 33)
        for t in range(2):
            ours, theirs = maps.frame(t), masks.frame(t)
            assert theirs.sum() > 2000
            common, union = (ours & theirs).sum((1, 2)), (ours | theirs).sum((1, 2))
            assert (common / union > 0.95).all()
    nothing = RoIMasks(disc.expand(0, 2, 28, 28), (97, 130), 0.5, boxes[:0])
    assert nothing.maps().shape == (0, 2, 25, 33)


def random_masks():
    generator = torch.Generator().manual_seed(0)
    for size in ((7, 9), (1, 1), (64, 50), (120, 90)):
        noise = torch.rand(3, *size, generator=generator)
        yield torch.cat([noise > 0.5, noise > 0.99, noise < 2, noise > 2, noise > 0.1])


def test_runs_found_on_the_device_are_those_of_pycocotools():
    for masks in random_masks():
        assert encode_runs(find_runs(masks)) == encode_masks(masks)
        for one in masks.split(1):
            assert encode_runs(find_runs(one)) == encode_masks(one)
    assert encode_runs(find_runs(torch.zeros(0, 4, 5, dtype=torch.bool))) == []


def test_runs_know_their_masks_where_some_are_empty():
    masks = torch.zeros(4, 3, 4, dtype=torch.bool)
    masks[1, 0, 0] = masks[3, 2, 3] = True
    decoded = [decode_rle(rle) for rle in encode_runs(find_runs(masks))]
    assert (np.stack(decoded) == masks.numpy()).all()


def test_pasting_whole_frames_gives_what_pasting_in_boxes_does():
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(9, 28, 28, generator=generator)
    corners = torch.rand(9, 2, 2, generator=generator).sort(1).values
    boxes = (corners * torch.tensor([130.0, 97.0]) * 1.4 - 20).flatten(1)
    boxes[0] = torch.tensor([-9.0, 1, -2, 5])  # outside
    boxes[1] = torch.tensor([6.0, 4, 3, 6])  # no area
    size = (97, 130)
    expected = paste_masks(probabilities, boxes, size)
    on_frame = expected.flatten(1).any(1)
    assert on_frame[2:].any()
    assert not on_frame[:2].any()
    on_frame = on_frame | torch.tensor([False, False] + [True] * 7)
    found = _paste_whole_frames(probabilities, boxes, on_frame, size)
    inside = expected > 0
    torch.testing.assert_close(found[inside], expected[inside], atol=1e-5, rtol=0)
    # mmdet's CPU form cuts what fades out by half a cell beyond a large box.
    assert 0 < found[~inside].max() < 0.5
    assert _paste_whole_frames(probabilities[:0], boxes[:0], on_frame[:0], size).shape == (0, *size)


def test_fewer_masks_at_a_time_where_they_are_large():
    cpu, gpu = torch.device('cpu'), torch.device('cuda', 0)
    assert num_masks_at_once(cpu, (1080, 1920)) == 8
    assert num_masks_at_once(cpu, (20_000, 20_000)) == 1
    assert num_masks_at_once(gpu, (1080, 1920)) == 64
    assert num_masks_at_once(gpu, (1080, 1920), bytes_of_pixel=16) == 16
