"""Costs of whole clips, for one Hungarian assignment per clip (``matching.solve``).

Letters: T frames, Q queries, K classes, I instances of the clip.
"""

from __future__ import annotations

import torch
from mmdet.core import bbox_cxcywh_to_xyxy, bbox_overlaps
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.match_costs import build_match_cost

from tevit_vis.layers.precision import full_precision
from tevit_vis.structures import Tubes

from .matching import ClipAssigner

TINY = 1e-12  # area below which an IoU is not trusted: instances out of sight have boxes of 1e-6


@BBOX_ASSIGNERS.register_module()
class SeqFormerAssigner(ClipAssigner):
    """Class, box and GIoU cost of a query's boxes in all frames (SeqFormer, section 3.4).

    Args:
        cls_cost: config of mmdet's ``FocalLossCost``.
        box_weight: of the distance of the boxes.
        iou_weight: of the GIoU.
    """

    def __init__(self, cls_cost: dict, box_weight: float, iou_weight: float) -> None:
        self.cls_cost = build_match_cost(cls_cost)
        self.box_weight = box_weight
        self.iou_weight = iou_weight

    @torch.no_grad()
    def costs(self, cls_score: torch.Tensor, boxes: torch.Tensor, tubes: Tubes) -> torch.Tensor:
        """Returns the cost [Q, I] of each query for each instance.

        Args:
            cls_score: [Q, K] logits.
            boxes: [T, Q, 4], centre x y, width, height as shares of the image.
            tubes: the instances.
        """
        # PARITY(SeqFormer): the Euclidean distance of all T * 4 numbers, neither L1 nor by frame.
        distance = torch.cdist(
            boxes.transpose(0, 1).flatten(1), tubes.boxes.transpose(0, 1).flatten(1)
        )
        overlap = bbox_overlaps(
            bbox_cxcywh_to_xyxy(boxes), bbox_cxcywh_to_xyxy(tubes.boxes), mode='giou', eps=TINY
        )
        return (
            self.cls_cost(cls_score, tubes.labels)
            + self.box_weight * distance
            - self.iou_weight * overlap.mean(0)
        )


@BBOX_ASSIGNERS.register_module()
class IFCAssigner(ClipAssigner):
    """Class probability and dice coefficient of the masks in all frames, maximised (IFC, 3.3).

    Args:
        cls_weight, dice_weight: of the two.
    """

    def __init__(self, cls_weight: float, dice_weight: float) -> None:
        self.cls_weight = cls_weight
        self.dice_weight = dice_weight

    @torch.no_grad()
    def costs(
        self,
        cls_score: torch.Tensor,
        masks: torch.Tensor,
        gt_labels: torch.Tensor,
        gt_masks: torch.Tensor,
    ) -> torch.Tensor:
        """Returns the cost [Q, I] of each query for each instance.

        Args:
            cls_score: [Q, K + 1] logits.
            masks: [Q, T, h, w] logits.
            gt_labels: [I].
            gt_masks: [I, T, h, w], 0 to 1.
        """
        probabilities = cls_score.softmax(-1)[:, gt_labels]
        # An area of a million pixels is infinite in fp16, and has three digits in bf16.
        with full_precision(masks.device):
            pred_masks, gt_masks = masks.float().sigmoid().flatten(1), gt_masks.float().flatten(1)
            areas = pred_masks.sum(1)[:, None] + gt_masks.sum(1)
            dice = (2 * pred_masks @ gt_masks.T + 1) / (areas + 1)
        return -(self.cls_weight * probabilities.float() + self.dice_weight * dice)
