"""IFC: Hwang et al., "Video Instance Segmentation using Inter-Frame Communication Transformers",
NeurIPS 2021.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.models.builder import DETECTORS
from mmdet.models.detectors import SingleStageDetector

from tevit_vis.geometry import FrameGeometry
from tevit_vis.layers.clip_ops import ClipPadding
from tevit_vis.models.heads.gather_gt import batch_padding, gather_batch
from tevit_vis.models.heads.ifc_head import ENCODER_STRIDE
from tevit_vis.structures import ClipPrediction

from .clip_detector import ClipDetector


@DETECTORS.register_module()
class IFC(ClipDetector, SingleStageDetector):
    """mmdet's SingleStageDetector over clips, with ``IFCHead`` as ``bbox_head``.

    Its constructor and config keys are those of SingleStageDetector.
    """

    def forward_train(self, img, img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids):
        """See ``ClipDetector.forward_train``."""
        gt_tubes = gather_batch(img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids, img.shape[3:])
        features = self.extract_feat(img)
        padding = batch_padding(img_metas, features[-1].shape[3:], ENCODER_STRIDE, img.device)
        return self.bbox_head.forward_train(features, padding, gt_tubes)

    @property
    def num_classes(self) -> int:
        """The number of classes that the model predicts."""
        return self.bbox_head.num_classes

    def timed_parts(self) -> dict[str, list[torch.nn.Module]]:
        """See ``ClipDetector.timed_parts``."""
        head = self.bbox_head
        return {
            **super().timed_parts(),
            'encoder': [head.encoder],
            'decoder': [head.decoder],
            'mask features': [head.mask_features],
        }

    def predict_clip(
        self, features: Sequence[torch.Tensor], metas: Sequence[dict]
    ) -> ClipPrediction:
        """See ``ClipDetector.predict_clip``."""
        coarsest = features[-1]
        geometry = FrameGeometry.of_clip(metas)
        padding = ClipPadding.of_clip(
            geometry.resized,
            coarsest.shape[1],
            tuple(coarsest.shape[3:]),
            ENCODER_STRIDE,
            coarsest.device,
        )
        return self.bbox_head.predict(features, padding, geometry, self.inference_config)
