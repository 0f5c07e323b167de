"""SeqFormer: Wu et al., "SeqFormer: Sequential Transformer for Video Instance Segmentation",
ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.models.builder import DETECTORS
from mmdet.models.detectors import SingleStageDetector

from tevit_vis.geometry import FrameGeometry
from tevit_vis.models.heads.clip_truths import batch_padding, gather_batch
from tevit_vis.structures import ClipPrediction, ClipSupervision

from .clip_detector import ClipDetector


@DETECTORS.register_module()
class SeqFormer(ClipDetector, SingleStageDetector):
    """SingleStageDetector over clips: its constructor, its keys; ``SeqFormerHead`` as head."""

    tells_what_it_compared = True

    def forward_train(self, img, img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids):
        """See ``ClipDetector.forward_train``."""
        return self.supervise(img, img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids).losses

    def supervise(self, img, img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids) -> ClipSupervision:
        """The losses of ``forward_train``, and what they compared."""
        size = img.shape[3:]
        tubes = gather_batch(img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids, size)
        img_shapes = [metas[0]['img_shape'] for metas in img_metas]
        padding = batch_padding(img_metas, size, 1, img.device)
        return self.bbox_head.supervise(self.extract_feat(img), padding, tubes, img_shapes)

    @property
    def num_classes(self) -> int:
        """K."""
        return self.bbox_head.num_classes

    def predict_clip(
        self, features: Sequence[torch.Tensor], metas: Sequence[dict]
    ) -> ClipPrediction:
        """See ``ClipDetector.predict_clip``."""
        geometry = FrameGeometry.of_clip(metas)
        padding = batch_padding([metas], geometry.padded, 1, features[0].device)
        at_once = self.frames_per_pass(geometry.padded)
        return self.bbox_head.predict(features, padding, geometry, at_once)
