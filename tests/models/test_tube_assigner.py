import pytest
import torch

from tevit_vis.models.assigners import TeViTHungarianAssigner


@pytest.fixture
def assigner():
    return TeViTHungarianAssigner(
        cls_cost=dict(type='FocalLossCost', weight=2.0),
        reg_cost=dict(type='BBoxL1Cost', weight=5.0),
        iou_cost=dict(type='IoUCost', iou_mode='giou', weight=2.0),
    )


SIZE = (40, 80, 3)
LEFT, RIGHT = [0.0, 0.0, 20.0, 20.0], [60.0, 10.0, 80.0, 40.0]


def assign(assigner, boxes, gt_bboxes, gt_labels, gt_ids):
    boxes = torch.tensor(boxes)
    scores = torch.zeros(*boxes.shape[:2], 5)
    return assigner.assign(
        boxes,
        scores,
        [torch.tensor(b).reshape(-1, 4) for b in gt_bboxes],
        [torch.tensor(x, dtype=torch.long) for x in gt_labels],
        [torch.tensor(x, dtype=torch.long) for x in gt_ids],
        SIZE,
    )


def test_a_query_keeps_its_instance_in_all_frames(assigner):
    # Query 1 fits instance 7 in two frames of three; query 0 fits it in one.
    boxes = [[RIGHT, LEFT, RIGHT], [RIGHT, LEFT, RIGHT], [LEFT, RIGHT, RIGHT]]
    results = assign(assigner, boxes, [[LEFT]] * 3, [[3]] * 3, [[7]] * 3)
    assert [result.gt_inds.tolist() for result in results] == [[0, 1, 0]] * 3
    assert results[2].labels.tolist() == [-1, 3, -1]


def test_an_absent_instance_leaves_its_query_to_the_background(assigner):
    boxes = [[LEFT, RIGHT]] * 3
    results = assign(
        assigner,
        boxes,
        [[RIGHT, LEFT], [LEFT], []],
        [[2, 4], [4], []],
        [[9, 5], [5], []],
    )
    assert [result.gt_inds.tolist() for result in results] == [[2, 1], [1, 0], [0, 0]]
    assert [result.labels.tolist() for result in results] == [[4, 2], [4, -1], [-1, -1]]
    assert results[2].num_gts == 0


def test_costs_are_means_over_the_frames_of_an_instance(assigner):
    # All boxes are equal, so classes decide. Query 0 suits instance 9 a little better in each of
    # three frames, and instance 5 clearly better in its only frame: it is worth more to 5, though
    # summed over the frames it would be worth more to 9.
    boxes = torch.tensor([[LEFT, LEFT]] * 3)
    scores = torch.zeros(3, 2, 5)
    scores[:, 0, 1] = 0.5
    scores[0, 0, 2] = 1.0
    gt_bboxes = [torch.tensor([LEFT, LEFT]), torch.tensor([LEFT]), torch.tensor([LEFT])]
    gt_labels = [torch.tensor([1, 2]), torch.tensor([1]), torch.tensor([1])]
    gt_ids = [torch.tensor([9, 5]), torch.tensor([9]), torch.tensor([9])]
    results = assigner.assign(boxes, scores, gt_bboxes, gt_labels, gt_ids, SIZE)
    assert [result.gt_inds.tolist() for result in results] == [[2, 1], [0, 1], [0, 1]]


def test_a_clip_without_instances_is_all_background(assigner):
    results = assign(assigner, [[LEFT, RIGHT]] * 2, [[], []], [[], []], [[], []])
    assert [result.gt_inds.tolist() for result in results] == [[0, 0], [0, 0]]


def test_more_instances_than_queries_leaves_some_unmatched(assigner):
    results = assign(assigner, [[LEFT]], [[RIGHT, LEFT]], [[0, 1]], [[3, 4]])
    assert results[0].gt_inds.tolist() == [2]
