"""SeqFormer: Wu et al., "SeqFormer: Sequential Transformer for Video Instance Segmentation",
ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.models.builder import DETECTORS
from mmdet.models.detectors import SingleStageDetector

from tevit_vis.geometry import FrameGeometry
from tevit_vis.ground_truth import TrainOutputs
from tevit_vis.layers.clip_ops import ClipPadding
from tevit_vis.models.heads.gather_gt import batch_padding, gather_batch
from tevit_vis.structures import ClipPrediction

from .clip_detector import ClipDetector


@DETECTORS.register_module()
class SeqFormer(ClipDetector, SingleStageDetector):
    """mmdet's SingleStageDetector over clips, with ``SeqFormerHead`` as ``bbox_head``.

    Its constructor and config keys are those of SingleStageDetector.
    """

    supports_adversary = True

    def forward_train(self, img, img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids):
        """See ``ClipDetector.forward_train``."""
        return self.train_outputs(img, img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids).losses

    def train_outputs(self, img, img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids) -> TrainOutputs:
        """Returns the losses of ``forward_train`` and what they were computed from.

        Args:
            img, img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids: as of ``forward_train``.
        """
        size = img.shape[3:]
        gt_tubes = gather_batch(img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids, size)
        img_shapes = [metas[0]['img_shape'] for metas in img_metas]
        padding = batch_padding(img_metas, size, 1, img.device)
        return self.bbox_head.train_outputs(self.extract_feat(img), padding, gt_tubes, img_shapes)

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
        geometry = FrameGeometry.of_clip(metas)
        padding = ClipPadding.of_clip(
            geometry.resized, features[0].shape[1], geometry.padded, 1, features[0].device
        )
        frames_per_pass = self.frames_per_pass(geometry.padded)
        return self.bbox_head.predict(
            features, padding, geometry, frames_per_pass, self.inference_config
        )
