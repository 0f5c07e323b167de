"""Ground truth gathered to tubes, and the focal loss of their masks, by hand."""

import numpy as np
import pytest
import torch
from mmdet.core import BitmapMasks

from tevit_vis.models.heads.gather_gt import batch_padding, gather_gt_tubes
from tevit_vis.models.losses import MaskFocalLoss


def bitmap(*places: int) -> BitmapMasks:
    """Masks of one pixel each, in column ``place`` of the first row."""
    masks = np.zeros((len(places), 4, 8), np.uint8)
    for mask, place in zip(masks, places):
        mask[0, place] = 1
    return BitmapMasks(masks, 4, 8)


def test_instances_are_put_together_by_id():
    tubes = gather_gt_tubes(
        bboxes=[torch.tensor([[0.0, 0, 4, 2], [2, 0, 6, 4]]), torch.tensor([[4.0, 2, 8, 4]])],
        labels=[torch.tensor([5, 3]), torch.tensor([7])],
        masks=[bitmap(1, 2), bitmap(3)],
        ids=[torch.tensor([9, 4]), torch.tensor([6])],
        img_shape=(4, 8, 3),
        size=(6, 10),
    )
    assert tubes.labels.tolist() == [3, 7, 5]  # ids 4, 6, 9
    assert tubes.masks.shape == (3, 2, 6, 10)
    assert tubes.masks.nonzero().tolist() == [[0, 0, 0, 2], [1, 1, 0, 3], [2, 0, 0, 1]]
    assert tubes.relative_boxes[0, 0].tolist() == [0.5, 0.5, 0.5, 1.0]
    assert tubes.relative_boxes[1, 1].tolist() == [0.75, 0.75, 0.5, 0.5]
    nothing = torch.full((4,), 1e-6)
    for t, n in ((0, 1), (1, 0), (1, 2)):  # out of sight
        assert torch.equal(tubes.relative_boxes[t, n], nothing)
        assert tubes.boxes[t, n].tolist() == [0, 0, 0, 0]
    assert tubes.boxes[1, 1].tolist() == [4, 2, 8, 4]
    assert tubes.present.tolist() == [[True, False, True], [False, True, False]]
    assert tubes.present_on_host.tolist() == tubes.present.tolist()


def test_a_clip_without_instances_has_no_tubes():
    tubes = gather_gt_tubes(
        [torch.zeros(0, 4)] * 2,
        [torch.zeros(0, dtype=torch.long)] * 2,
        [bitmap()] * 2,
        [torch.zeros(0, dtype=torch.long)] * 2,
        (4, 8, 3),
        (4, 8),
    )
    assert len(tubes) == 0
    assert tubes.boxes.shape == (2, 0, 4)


def test_padding_differs_between_clips_and_frames():
    metas = [[dict(img_shape=(2, 4, 3)), dict(img_shape=(3, 1, 3))]]
    padding = batch_padding(metas, (3, 4), 1, torch.device('cpu'))
    assert (~padding.mask[0, 0]).nonzero().tolist() == [[y, x] for y in range(2) for x in range(4)]
    assert (~padding.mask[0, 1]).nonzero().tolist() == [[y, 0] for y in range(3)]


def test_mask_focal_loss_is_a_mean_over_cells_and_a_sum_over_masks():
    logits = torch.tensor([[[0.0, 2.0]], [[-1.0, 1.0]]])
    masks = torch.tensor([[[1.0, 0.0]], [[0.5, 1.0]]])
    p = logits.sigmoid()
    cross = -(masks * p.log() + (1 - masks) * (1 - p).log())
    missed = p * (1 - masks) + (1 - p) * masks
    balance = 0.25 * masks + 0.75 * (1 - masks)
    by_hand = (balance * missed**2 * cross).mean(dim=(1, 2)).sum() / 3
    loss = MaskFocalLoss(loss_weight=2.0)(logits, masks, avg_factor=3)
    assert loss.item() == pytest.approx(2 * by_hand.item())
    assert MaskFocalLoss()(torch.zeros(0, 5), torch.zeros(0, 5), avg_factor=1).item() == 0
