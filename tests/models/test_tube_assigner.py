import numpy as np
import pytest
import torch
from mmdet.core import BitmapMasks

from tevit_vis.models.assigners import TeViTHungarianAssigner
from tevit_vis.models.heads.clip_truths import gather_annotations
from tevit_vis.models.heads.tevit_roi_head import gather_positives


@pytest.fixture
def assigner():
    return TeViTHungarianAssigner(
        cls_cost=dict(type='FocalLossCost', weight=2.0),
        reg_cost=dict(type='BBoxL1Cost', weight=5.0),
        iou_cost=dict(type='IoUCost', iou_mode='giou', weight=2.0),
    )


SIZE = (40, 80, 3)
LEFT, RIGHT = [0.0, 0.0, 20.0, 20.0], [60.0, 10.0, 80.0, 40.0]


def assign(assigner, boxes, gt_bboxes, gt_labels, gt_ids, scores=None):
    """Of each frame and query the number of its annotation in the frame from 1, 0 for none."""
    boxes = torch.tensor(boxes)
    num_frames, num_queries = boxes.shape[:2]
    if scores is None:
        scores = torch.zeros(num_frames, num_queries, 5)
    truths = gather_annotations(
        [torch.tensor(b).reshape(-1, 4) for b in gt_bboxes],
        [torch.tensor(x, dtype=torch.long) for x in gt_labels],
        [BitmapMasks(np.zeros((len(x), 40, 80), np.uint8), 40, 80) for x in gt_ids],
        [torch.tensor(x, dtype=torch.long) for x in gt_ids],
    )
    pairs = assigner.assign(boxes, scores, truths, SIZE)
    positives = gather_positives([pairs], [truths], (num_frames, num_queries))
    in_frame = np.concatenate([np.arange(1, len(x) + 1) for x in gt_ids])
    assigned = np.zeros(num_frames * num_queries, int)
    assigned[positives.rows] = in_frame[positives.annotations]
    assert positives.per_clip == [len(positives.rows)]
    assert (np.diff(positives.rows) > 0).all()
    return assigned.reshape(num_frames, num_queries).tolist()


def test_a_query_keeps_its_instance_in_all_frames(assigner):
    # Query 1 fits instance 7 in two frames of three; query 0 fits it in one.
    boxes = [[RIGHT, LEFT, RIGHT], [RIGHT, LEFT, RIGHT], [LEFT, RIGHT, RIGHT]]
    assert assign(assigner, boxes, [[LEFT]] * 3, [[3]] * 3, [[7]] * 3) == [[0, 1, 0]] * 3


def test_an_absent_instance_leaves_its_query_to_the_background(assigner):
    boxes = [[LEFT, RIGHT]] * 3
    found = assign(
        assigner,
        boxes,
        [[RIGHT, LEFT], [LEFT], []],
        [[2, 4], [4], []],
        [[9, 5], [5], []],
    )
    assert found == [[2, 1], [1, 0], [0, 0]]


def test_costs_are_means_over_the_frames_of_an_instance(assigner):
    # All boxes are equal, so classes decide. Query 0 suits instance 9 a little better in each of
    # three frames, and instance 5 clearly better in its only frame: it is worth more to 5, though
    # summed over the frames it would be worth more to 9.
    scores = torch.zeros(3, 2, 5)
    scores[:, 0, 1] = 0.5
    scores[0, 0, 2] = 1.0
    found = assign(
        assigner,
        [[LEFT, LEFT]] * 3,
        [[LEFT, LEFT], [LEFT], [LEFT]],
        [[1, 2], [1], [1]],
        [[9, 5], [9], [9]],
        scores,
    )
    assert found == [[2, 1], [0, 1], [0, 1]]


def test_a_clip_without_instances_is_all_background(assigner):
    found = assign(assigner, [[LEFT, RIGHT]] * 2, [[], []], [[], []], [[], []])
    assert found == [[0, 0], [0, 0]]


def test_more_instances_than_queries_leaves_some_unmatched(assigner):
    assert assign(assigner, [[LEFT]], [[RIGHT, LEFT]], [[0, 1]], [[3, 4]]) == [[2]]


def test_annotations_of_later_clips_count_on(assigner):
    """Two clips of two frames and two queries: rows and annotations go through the batch."""
    clips = [
        gather_annotations(
            [torch.tensor([LEFT]), torch.tensor([RIGHT, LEFT])],
            [torch.tensor([1]), torch.tensor([0, 1])],
            [BitmapMasks(np.zeros((n, 40, 80), np.uint8), 40, 80) for n in (1, 2)],
            [torch.tensor([5]), torch.tensor([8, 5])],
        )
    ] * 2
    pairs = [(np.array([0, 1]), np.array([1, 0])), (np.array([1]), np.array([0]))]
    positives = gather_positives(pairs, clips, (2, 2))
    # Clip 0: query 0 has instance 1 (id 8), query 1 has instance 0 (id 5).
    assert positives.rows.tolist() == [1, 2, 3, 5, 7]
    assert positives.annotations.tolist() == [0, 1, 2, 3, 5]
    assert positives.per_clip == [3, 2]
