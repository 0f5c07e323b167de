"""One Hungarian assignment per clip: a query takes an instance in all frames at once.

Yang et al., "Temporally Efficient Vision Transformer for Video Instance Segmentation",
CVPR 2022, section 3.4.

Letters: T frames, Q queries, K classes, I instances of the clip, G instances of a frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.core import bbox_xyxy_to_cxcywh
from mmdet.core.bbox.assigners import AssignResult, BaseAssigner
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.match_costs import build_match_cost
from scipy.optimize import linear_sum_assignment


@BBOX_ASSIGNERS.register_module()
class TeViTHungarianAssigner(BaseAssigner):
    """mmdet's match costs per frame, averaged over the frames in which an instance is present.

    Args:
        cls_cost, reg_cost, iou_cost: configs of mmdet's match costs.
    """

    def __init__(self, cls_cost: dict, reg_cost: dict, iou_cost: dict) -> None:
        self.cls_cost = build_match_cost(cls_cost)
        self.reg_cost = build_match_cost(reg_cost)
        self.iou_cost = build_match_cost(iou_cost)

    def assign(
        self,
        boxes: torch.Tensor,
        cls_score: torch.Tensor,
        gt_bboxes: Sequence[torch.Tensor],
        gt_labels: Sequence[torch.Tensor],
        gt_ids: Sequence[torch.Tensor],
        img_shape: tuple[int, ...],
    ) -> list[AssignResult]:
        """Assign the queries of one clip.

        Args:
            boxes: [T, Q, 4], x1 y1 x2 y2 in pixels of the network input.
            cls_score: [T, Q, K] logits.
            gt_bboxes: T times [G, 4], x1 y1 x2 y2 in pixels.
            gt_labels: T times [G].
            gt_ids: T times [G], equal for the same instance in different frames.
            img_shape: (H, W, ...) of the clip's first frame, before padding.

        Returns:
            T results; a query matched to an instance that a frame lacks is background there.
        """
        ids = torch.cat(list(gt_ids)).unique()
        costs = boxes.new_zeros(boxes.shape[1], len(ids))  # [Q, I]
        frames = boxes.new_zeros(len(ids))
        places = [torch.searchsorted(ids, frame_ids) for frame_ids in gt_ids]
        for t, place in enumerate(places):
            costs[:, place] += self.frame_cost(
                boxes[t], cls_score[t], gt_bboxes[t], gt_labels[t], img_shape
            )
            frames[place] += 1
        # A diverging model is told of by its loss, not by the solver.
        costs = torch.nan_to_num(costs / frames, nan=1e4, posinf=1e4, neginf=-1e4)
        queries, instances = linear_sum_assignment(costs.detach().cpu())
        query_of = boxes.new_full((len(ids),), -1, dtype=torch.long)  # -1: queries ran out
        query_of[torch.as_tensor(instances)] = torch.as_tensor(queries, device=boxes.device)
        return [
            frame_result(boxes.shape[1], query_of[place], labels)
            for place, labels in zip(places, gt_labels)
        ]

    def frame_cost(
        self,
        boxes: torch.Tensor,
        cls_score: torch.Tensor,
        gt_bboxes: torch.Tensor,
        gt_labels: torch.Tensor,
        img_shape: tuple[int, ...],
    ) -> torch.Tensor:
        """Cost [Q, G] of boxes [Q, 4] and logits [Q, K] for the instances of one frame."""
        height, width = img_shape[:2]
        factor = boxes.new_tensor([width, height, width, height])
        return (
            self.cls_cost(cls_score, gt_labels)
            + self.reg_cost(bbox_xyxy_to_cxcywh(boxes / factor), gt_bboxes / factor)
            + self.iou_cost(boxes, gt_bboxes)
        )


def frame_result(num_queries: int, queries: torch.Tensor, labels: torch.Tensor) -> AssignResult:
    """mmdet's result of a frame whose instances [G] took these queries [G], -1 for none."""
    taken = queries >= 0
    assigned = queries.new_zeros(num_queries)  # 0 is background
    assigned[queries[taken]] = torch.arange(1, len(queries) + 1, device=queries.device)[taken]
    assigned_labels = queries.new_full((num_queries,), -1)
    assigned_labels[queries[taken]] = labels[taken]
    return AssignResult(len(queries), assigned, None, labels=assigned_labels)
