"""Spatiotemporal query interaction: mmdet's DIIHead, with its attention used along time as well.

Yang et al., "Temporally Efficient Vision Transformer for Video Instance Segmentation",
CVPR 2022, section 3.3.

Letters: B clips, T frames, Q queries, C channels, K classes.
"""

from __future__ import annotations

import torch
from mmcv.runner import get_dist_info
from mmdet.core import reduce_mean
from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.bbox_heads import DIIHead

from tevit_vis.layers.clip_ops import fold_frames, unfold_frames


@HEADS.register_module()
class STQIHead(DIIHead):
    """A DIIHead whose one attention module serves twice: among queries, then among frames.

    Args:
        with_time: False lets the second use see one frame at a time, where it mixes nothing: to
            measure what time is worth.
        kwargs: of ``DIIHead``.

    A caller runs ``attend_within_frames`` on all queries and then ``forward`` on any part of
    them, since from there on queries do not meet.
    """

    def __init__(self, with_time: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.with_time = with_time

    def attend_within_frames(self, queries: torch.Tensor) -> torch.Tensor:
        """Self-attention over the queries of each frame: [B, T, Q, C] -> [B, T, Q, C]."""
        num_clips = len(queries)
        sequence = fold_frames(queries).transpose(0, 1)  # [B,T,Q,C] -> [Q,B*T,C]
        attended = self.attention_norm(self.attention(sequence))
        return unfold_frames(attended.transpose(0, 1), num_clips)

    def forward(
        self, roi_feats: torch.Tensor, queries: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Attention along time, dynamic convolution with the RoI features, class and box.

        To DIIHead each query's track through the frames looks like an image with T proposals,
        so its own forward does all of this, with the same weights as ``attend_within_frames``.

        Args:
            roi_feats: [B*Q*T, C, h, w], frames varying fastest.
            queries: [B, T, Q, C] from ``attend_within_frames``.

        Returns:
            Class logits [B, T, Q, K], box deltas [B, T, Q, 4], object features [B, T, Q, C] and
            attention features [B, T, Q, C] (the input of the mask head).
        """
        num_clips = len(queries)
        num_frames = queries.shape[1]
        tracks = queries.transpose(1, 2).flatten(0, 1)  # [B,T,Q,C] -> [B*Q,T,C]
        if not self.with_time:
            tracks = tracks.reshape(-1, 1, tracks.shape[2])
        outputs = (out.flatten(0, 1) for out in super().forward(roi_feats, tracks))
        # [B*Q*T,*] -> [B,T,Q,*]
        return tuple(
            out.unflatten(0, (num_clips, -1, num_frames)).transpose(1, 2) for out in outputs
        )

    def class_probabilities(self, cls_score: torch.Tensor) -> torch.Tensor:
        """Logits [..., K], or [..., K + 1] with a softmax loss, as probabilities [..., K]."""
        if self.loss_cls.use_sigmoid:
            return cls_score.sigmoid()
        return cls_score.softmax(-1)[..., :-1]

    def loss(self, cls_score, bbox_pred, labels, label_weights, *args, **kwargs):
        """DIIHead's losses; without any positive the class loss is divided by 1, not by nearly 0.

        Arguments are those of ``DIIHead.loss``.
        """
        losses = super().loss(cls_score, bbox_pred, labels, label_weights, *args, **kwargs)
        num_positive = reduce_mean((labels < self.num_classes).sum().float())
        if num_positive == 0:  # in all processes: each divides by its share of 1
            share = 1 / get_dist_info()[1]
            losses['loss_cls'] = self.loss_cls(cls_score, labels, label_weights, avg_factor=share)
        return losses
