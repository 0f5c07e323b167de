"""Spatiotemporal query interaction: mmdet's DIIHead, with its attention used along time as well.

Yang et al., "Temporally Efficient Vision Transformer for Video Instance Segmentation",
CVPR 2022, section 3.3.

Letters: B clips, T frames, Q queries, C channels, K classes, N queries of all frames, P positives.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from mmcv.runner import get_dist_info
from mmdet.models.builder import HEADS
from mmdet.models.losses import accuracy
from mmdet.models.roi_heads.bbox_heads import DIIHead

from tevit_vis.layers.clip_ops import fold_frames, unfold_frames
from tevit_vis.layers.precision import FullPrecisionLinear


@HEADS.register_module()
class STQIHead(DIIHead):
    """A DIIHead that uses its attention module twice: within each frame, then along time.

    A caller runs ``attend_within_frames`` on all queries and then ``forward`` on all or some of
    them, since ``forward`` treats each query separately.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        # The names stay, since checkpoints use them. The outputs are in fp32 also under autocast.
        self.fc_cls = FullPrecisionLinear.of(self.fc_cls)
        self.fc_reg = FullPrecisionLinear.of(self.fc_reg)

    def attend_within_frames(self, queries: torch.Tensor) -> torch.Tensor:
        """Returns queries [B, T, Q, C] after self-attention within each frame."""
        num_clips = len(queries)
        sequence = fold_frames(queries).transpose(0, 1)  # [B,T,Q,C] -> [Q,B*T,C]
        attended = self.attention_norm(self.attention(sequence))
        return unfold_frames(attended.transpose(0, 1), num_clips)

    def forward(
        self, roi_feats: torch.Tensor, queries: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns classes, boxes and features after attention along time and dynamic convolution.

        DIIHead attends among the proposals of an image. Here it is given a query's T frames as the
        proposals, so that it attends along time, with the weights of ``attend_within_frames``.

        Args:
            roi_feats: [B*Q*T, C, h, w], frames varying fastest.
            queries: [B, T, Q, C] from ``attend_within_frames``.

        Returns:
            Class logits [B, T, Q, K], box deltas [B, T, Q, 4], object features [B, T, Q, C] and
            attention features [B, T, Q, C] (the input of the mask head).
        """
        num_clips = len(queries)
        tracks = queries.transpose(1, 2).flatten(0, 1)  # [B,T,Q,C] -> [B*Q,T,C]
        outputs = super().forward(roi_feats, tracks)
        # [B*Q,T,*] -> [B,T,Q,*]
        return tuple(unfold_frames(out, num_clips).transpose(1, 2) for out in outputs)

    def forward_frames(
        self, roi_feats: torch.Tensor, queries: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Applies DIIHead to each frame separately, as in QueryInst, without attention along time.

        Args:
            roi_feats: [B*Q*T, C, h, w], frames varying fastest.
            queries: [B, T, Q, C], all of them; ``attend_within_frames`` was not called.

        Returns:
            As ``forward``.
        """
        num_clips, num_frames, num_queries = queries.shape[:3]
        by_query = roi_feats.unflatten(0, (num_clips, num_queries, num_frames))
        by_frame = by_query.transpose(1, 2).flatten(0, 2)  # [B*Q*T,*] -> [B*T*Q,*]
        outputs = super().forward(by_frame, fold_frames(queries))
        return tuple(unfold_frames(out, num_clips) for out in outputs)

    def class_probabilities(self, cls_score: torch.Tensor) -> torch.Tensor:
        """Returns probabilities [..., K] of logits [..., K], or of [..., K + 1] with softmax."""
        if self.loss_cls.use_sigmoid:
            return cls_score.sigmoid()
        return cls_score.softmax(-1)[..., :-1]

    def matched_losses(
        self,
        cls_score: torch.Tensor,
        boxes: torch.Tensor,
        rows: torch.Tensor,
        gt_boxes: torch.Tensor,
        gt_labels: torch.Tensor,
        sizes: torch.Tensor,
        num_positives: torch.Tensor,
        positive_weight: float,
    ) -> dict[str, torch.Tensor]:
        """Returns DIIHead's losses, given the indices of the positive queries.

        Args:
            cls_score: [N, K] logits of the queries of all frames.
            boxes: [N, 4], x1 y1 x2 y2 in pixels of the network input.
            rows: [P] indices of the positive queries.
            gt_boxes, gt_labels: [P, 4] and [P], the ground truth of the positive queries.
            sizes: [P, 4] width, height, width, height of their images.
            num_positives: number of positive queries, the mean over all processes.
            positive_weight: weight of positives in the class loss; 0 or less means 1.
        """
        labels = rows.new_full((len(cls_score),), self.num_classes)
        labels[rows] = gt_labels
        weights = cls_score.new_ones(len(cls_score))
        if positive_weight > 0:
            weights[rows] = positive_weight
        # Without a positive in any process the divisor is 1 over all processes, not nearly 0.
        divisor = torch.where(num_positives > 0, num_positives, 1 / get_dist_info()[1])
        losses = dict(
            loss_cls=self.loss_cls(cls_score, labels, weights, avg_factor=divisor),
            pos_acc=accuracy(cls_score[rows], gt_labels),
        )
        if not len(rows):
            return dict(losses, loss_bbox=boxes.sum() * 0, loss_iou=boxes.sum() * 0)
        pred_boxes = boxes[rows]
        return dict(  # weights are left out, since mmdet's GIoULoss would wait for the device
            losses,
            loss_bbox=self.loss_bbox(
                pred_boxes / sizes, gt_boxes / sizes, avg_factor=num_positives
            ),
            loss_iou=self.loss_iou(pred_boxes, gt_boxes, avg_factor=num_positives),
        )


class StageOutput(NamedTuple):
    """The predictions of one stage for all queries in all frames."""

    cls_score: torch.Tensor  # [B, T, Q, K] logits
    boxes: torch.Tensor  # [B, T, Q, 4] x1 y1 x2 y2 in pixels of the network input
    object_feats: torch.Tensor  # [B, T, Q, C] queries of the next stage
    attn_feats: torch.Tensor  # [B, T, Q, C] after both attentions: input of the mask head
