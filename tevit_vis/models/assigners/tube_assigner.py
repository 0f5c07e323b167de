"""One Hungarian assignment per clip: a query takes an instance in all frames at once.

Yang et al., "Temporally Efficient Vision Transformer for Video Instance Segmentation",
CVPR 2022, section 3.4.

Letters: T frames, Q queries, K classes, I instances of the clip, G annotations of its frames.
"""

from __future__ import annotations

import torch
from mmdet.core import bbox_xyxy_to_cxcywh
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.match_costs import build_match_cost

from tevit_vis.structures import ClipTruths

from .matching import ClipAssigner


@BBOX_ASSIGNERS.register_module()
class TeViTHungarianAssigner(ClipAssigner):
    """mmdet's match costs per frame, averaged over the frames in which an instance is present.

    Args:
        cls_cost, reg_cost, iou_cost: configs of mmdet's match costs.
    """

    def __init__(self, cls_cost: dict, reg_cost: dict, iou_cost: dict) -> None:
        self.cls_cost = build_match_cost(cls_cost)
        self.reg_cost = build_match_cost(reg_cost)
        self.iou_cost = build_match_cost(iou_cost)

    @torch.no_grad()
    def costs(
        self,
        boxes: torch.Tensor,
        cls_score: torch.Tensor,
        truths: ClipTruths,
        img_shape: tuple[int, ...],
    ) -> torch.Tensor:
        """Returns the cost [Q, I] of each query for each instance of a clip.

        Args:
            boxes: [T, Q, 4], x1 y1 x2 y2 in pixels of the network input.
            cls_score: [T, Q, K] logits.
            truths: the annotations of the clip's frames.
            img_shape: (H, W, ...) of the clip's first frame, before padding.
        """
        by_annotation = torch.cat(
            [
                self.frame_cost(*frame, img_shape)
                for frame in zip(
                    boxes,
                    cls_score,
                    truths.bboxes.split(truths.per_frame),
                    truths.labels.split(truths.per_frame),
                )
            ],
            dim=1,
        )  # [Q, G]
        sums = boxes.new_zeros(boxes.shape[1], len(truths.num_frames))
        return sums.index_add_(1, truths.instances, by_annotation) / truths.num_frames

    def frame_cost(
        self,
        boxes: torch.Tensor,
        cls_score: torch.Tensor,
        gt_bboxes: torch.Tensor,
        gt_labels: torch.Tensor,
        img_shape: tuple[int, ...],
    ) -> torch.Tensor:
        """Cost [Q, G] of boxes [Q, 4] and logits [Q, K] for the annotations of one frame."""
        height, width = img_shape[:2]
        factor = boxes.new_tensor([width, height, width, height])
        return (
            self.cls_cost(cls_score, gt_labels)
            + self.reg_cost(bbox_xyxy_to_cxcywh(boxes / factor), gt_bboxes / factor)
            + self.iou_cost(boxes, gt_bboxes)
        )
