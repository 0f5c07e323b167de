"""Matching of queries with tubes, by hand."""

import numpy as np
import pytest
import torch
from mmdet.core import BitmapMasks, bbox_xyxy_to_cxcywh

from tevit_vis.ground_truth import GtTubes
from tevit_vis.models.assigners import TubeHungarianAssigner
from tevit_vis.models.assigners.tube_assigner import solve_assignments
from tevit_vis.models.assigners.tube_costs import PredTubes
from tevit_vis.models.heads.gather_gt import gather_gt_tubes
from tevit_vis.models.heads.positives import gather_positives
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError

SIZE = (40, 80, 3)
LEFT, RIGHT = [0.0, 0.0, 20.0, 20.0], [60.0, 10.0, 80.0, 40.0]


def published(name):
    """The assigner of a published config."""
    train_cfg = load_config(name).model.train_cfg
    config = train_cfg.rcnn[0].assigner if 'rcnn' in train_cfg else train_cfg.assigner
    return TubeHungarianAssigner(costs=config.costs)


@pytest.fixture
def assigner():
    return published('tevit/tevit_r50')


def gt_of(bboxes, labels, ids):
    return gather_gt_tubes(
        [torch.tensor(b).reshape(-1, 4) for b in bboxes],
        [torch.tensor(x, dtype=torch.long) for x in labels],
        [BitmapMasks(np.zeros((len(x), 40, 80), np.uint8), 40, 80) for x in ids],
        [torch.tensor(x, dtype=torch.long) for x in ids],
        SIZE,
        size=None,
    )


def assign(assigner, boxes, gt_bboxes, gt_labels, gt_ids, scores=None):
    """Of each frame and query the id of its instance there, 0 for none."""
    boxes = torch.tensor(boxes)
    num_frames, num_queries = boxes.shape[:2]
    if scores is None:
        scores = torch.zeros(num_frames, num_queries, 5)
    gt = gt_of(gt_bboxes, gt_labels, gt_ids)
    relative = bbox_xyxy_to_cxcywh(boxes / torch.tensor([80.0, 40.0, 80.0, 40.0]))
    pairs = assigner.assign(PredTubes(scores, relative), gt)
    (positives,) = gather_positives([pairs], [gt], num_queries, torch.device('cpu'))
    known = sorted({instance for frame in gt_ids for instance in frame})
    assigned = np.zeros(num_frames * num_queries, int)
    places = positives.instances_on_host
    assigned[positives.rows_on_host] = [known[place % len(known)] for place in places]
    assert (positives.instances // max(1, len(known))).tolist() == [
        row // num_queries for row in positives.rows
    ]
    assert positives.num_per_clip == [len(positives.rows)]
    assert (np.diff(positives.rows_on_host) > 0).all()
    return assigned.reshape(num_frames, num_queries).tolist()


def test_a_query_keeps_its_instance_in_all_frames(assigner):
    # Query 1 fits instance 7 in two frames of three; query 0 fits it in one.
    boxes = [[RIGHT, LEFT, RIGHT], [RIGHT, LEFT, RIGHT], [LEFT, RIGHT, RIGHT]]
    assert assign(assigner, boxes, [[LEFT]] * 3, [[3]] * 3, [[7]] * 3) == [[0, 7, 0]] * 3


def test_an_absent_instance_leaves_its_query_to_the_background(assigner):
    boxes = [[LEFT, RIGHT]] * 3
    found = assign(
        assigner,
        boxes,
        [[RIGHT, LEFT], [LEFT], []],
        [[2, 4], [4], []],
        [[9, 5], [5], []],
    )
    assert found == [[5, 9], [5, 0], [0, 0]]


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
    assert found == [[5, 9], [0, 9], [0, 9]]


def test_a_clip_without_instances_is_all_background(assigner):
    found = assign(assigner, [[LEFT, RIGHT]] * 2, [[], []], [[], []], [[], []])
    assert found == [[0, 0], [0, 0]]


def test_more_instances_than_queries_leaves_some_unmatched(assigner):
    assert assign(assigner, [[LEFT]], [[RIGHT, LEFT]], [[0, 1]], [[3, 4]]) == [[4]]


def test_positives_of_later_clips_and_stages():
    """Two stages of two clips of two frames and two queries: numbers go through the batch."""
    gt = gt_of([[LEFT], [RIGHT, LEFT]], [[1], [0, 1]], [[5], [8, 5]])
    pairs = [(np.array([0, 1]), np.array([1, 0])), (np.array([1]), np.array([0]))]
    first, second = gather_positives([*pairs, *pairs[::-1]], [gt, gt], 2, torch.device('cpu'))
    # Clip 0: query 0 has instance 1 (id 8), query 1 has instance 0 (id 5).
    assert first.rows.tolist() == [1, 2, 3, 5, 7]
    assert first.instances.tolist() == [0, 3, 2, 4, 6]
    assert first.num_per_clip == [3, 2]
    assert second.rows.tolist() == [1, 3, 5, 6, 7]
    assert second.instances.tolist() == [0, 2, 4, 7, 6]


def test_seqformer_weighs_class_boxes_and_overlap_of_all_frames():
    boxes = torch.tensor([[0.3, 0.3, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2]])
    predicted = torch.stack([boxes, boxes.flip(0)])[:, [0, 1, 0]]  # [T=2, Q=3, 4]
    gt = with_boxes([1, 0], torch.stack([boxes.flip(0), boxes]))
    logits = torch.zeros(1, 3, 2)
    assigner = published('seqformer/seqformer_r50_joint')
    queries, instances = assigner.assign(PredTubes(logits, predicted), gt)
    assert (queries.tolist(), instances.tolist()) == ([0, 1], [1, 0])
    logits[0, 2, 0] = 3.0  # with like boxes the class decides
    queries, instances = assigner.assign(PredTubes(logits, predicted), gt)
    assert (queries.tolist(), instances.tolist()) == ([1, 2], [0, 1])


def with_boxes(labels, relative_boxes):
    gt = GtTubes.of_labels(torch.tensor(labels), num_frames=len(relative_boxes))
    return GtTubes(**{**vars(gt), 'relative_boxes': relative_boxes})


def test_costs_of_boxes_by_hand():
    """SeqFormer's distance is one of all frames; mmdet's costs are means over the frames."""
    predicted = torch.tensor([[[0.5, 0.5, 0.2, 0.2]], [[0.5, 0.5, 0.2, 0.4]]])  # [T=2, Q=1, 4]
    gt = with_boxes([0], torch.tensor([[[0.5, 0.5, 0.2, 0.2]], [[0.8, 0.1, 0.2, 0.4]]]))
    pred = PredTubes(torch.zeros(1, 1, 2), predicted)

    def cost(**config):
        return TubeHungarianAssigner(costs=[config]).cost_matrix(pred, gt).item()

    assert cost(type='ClipBoxL2Cost', weight=2.0) == pytest.approx(2 * 0.5)
    assert cost(type='BBoxL1Cost') == pytest.approx((0.0 + 2 * 0.3 + 2 * 0.4) / 2)
    # In frame 1 the boxes are apart: GIoU = 0 - (hull - union) / hull.
    union, hull = 2 * 0.2 * 0.4, 0.5 * 0.8
    giou = (1 + (union - hull) / hull) / 2
    assert cost(type='ClipGIoUCost', weight=3.0) == pytest.approx(-3 * giou)
    assert cost(type='IoUCost', iou_mode='giou') == pytest.approx(-giou)
    assert cost(type='PresentFramesCost', costs=[dict(type='IoUCost')]) == pytest.approx(-giou)
    gt = GtTubes(**{**vars(gt), 'present': torch.tensor([[True], [False]])})
    assert cost(type='PresentFramesCost', costs=[dict(type='IoUCost')]) == pytest.approx(-1)


def test_ifc_adds_class_probability_and_dice():
    gt = GtTubes.of_labels(torch.tensor([2, 0]), num_frames=2)
    masks = torch.zeros(2, 2, 3, 4)
    masks[0, 0, 0] = 1.0
    logits = torch.zeros(3, 2, 3, 4)
    scores = torch.tensor([[[0.0, 0.0, 3.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    cost = published('ifc/ifc_r50_ytvis19').cost_matrix(
        PredTubes(scores, masks=logits), gt.with_masks(masks)
    )
    dice = torch.tensor([(2 * 4 * 0.5 + 1) / (12 + 4 + 1), 1 / (12 + 1)])
    expected = -scores[0].softmax(-1)[:, [2, 0]] - 3 * (dice - 1)
    torch.testing.assert_close(cost, expected)


def test_more_instances_than_queries_and_costs_that_are_not_numbers():
    first, empty, second = solve_assignments(
        [torch.tensor([[3.0, 1.0, float('nan')]]), torch.zeros(4, 0), torch.tensor([[2.0], [1.0]])]
    )
    assert [side.tolist() for side in first] == [[0], [1]]
    assert [side.tolist() for side in empty] == [[], []]
    assert [side.tolist() for side in second] == [[1], [0]]
    assert solve_assignments([]) == []


@pytest.mark.parametrize(
    ('costs', 'words'),
    [
        ([], 'costs: must be a list of at least one cost'),
        (dict(type='IoUCost'), 'costs: must be a list of at least one cost'),
        ([dict(type='PresentFramesCost', costs=[])], 'costs: must be a list of at least one cost'),
    ],
)
def test_lists_of_costs_that_cannot_be(costs, words):
    with pytest.raises(InputError, match=words):
        TubeHungarianAssigner(costs=costs)


@pytest.mark.parametrize(
    ('name', 'cost', 'words'),
    [
        ('tevit/tevit_r50', 'DiceCost', 'TeViTRoIHead predicts .boxes, classes., but one compares'),
        ('ifc/ifc_r50_ytvis19', 'BBoxL1Cost', 'IFCHead predicts .*, but one compares boxes'),
    ],
)
def test_costs_of_what_a_head_does_not_predict(name, cost, words):
    from mmdet.models import build_detector

    model = load_config(name).model
    model.backbone.init_cfg = None
    assigners = [stage.assigner for stage in model.train_cfg.get('rcnn', [model.train_cfg])]
    assigners[-1].costs = [*assigners[-1].costs, dict(type=cost)]
    with pytest.raises(InputError, match=words):
        build_detector(model)
