"""Mask2Former on the frames of videos: Cheng et al., "Masked-attention Mask Transformer for
Universal Image Segmentation", CVPR 2022; as in Huang et al., "MinVIS", NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.models.builder import DETECTORS, build_backbone, build_head

from tevit_vis.geometry import FrameGeometry
from tevit_vis.models.heads.mask2former_head import Annotations
from tevit_vis.structures import ClipPrediction

from .clip_detector import ClipDetector


@DETECTORS.register_module()
class Mask2FormerVIS(ClipDetector):
    """mmdet's Mask2Former over clips.

    Weights are called as in mmdet, so that checkpoints of its zoo load as they are. With
    ``Mask2FormerVISHead`` as ``panoptic_head`` frames do not know each other: training looks at
    each frame alone, and trackers that compare embeddings link them. With ``Mask2FormerClipHead``
    the queries are those of a clip. The features of a frame are those of the pixel decoder.

    Args:
        backbone: config of the backbone.
        panoptic_head: config of the head, by mmdet's name for it.
        train_cfg: mmdet's assigner, sampler and numbers of points; None for inference.
        test_cfg: see ``InferenceConfig``.
        init_cfg: as of mmcv's BaseModule.
    """

    head_name = 'panoptic_head'

    def __init__(
        self,
        backbone: dict,
        panoptic_head: dict,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.backbone = build_backbone(backbone)
        self.panoptic_head = build_head(dict(panoptic_head, train_cfg=train_cfg))
        self.train_cfg = train_cfg
        self.test_cfg = test_cfg

    @property
    def num_classes(self) -> int:
        """The number of classes that the model predicts."""
        return self.panoptic_head.num_classes

    def compiled_parts(self) -> list[torch.nn.Module]:
        """See ``ClipDetector.compiled_parts``."""
        return [self.backbone, self.panoptic_head.pixel_decoder]

    def _neck_maps(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Returns the mask features and the encoded levels of frames."""
        mask_features, levels = self.panoptic_head.pixel_decoder(maps)
        return [mask_features, *levels]

    def forward_train(self, img, img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids):
        """See ``ClipDetector.forward_train``."""
        batch = Annotations(img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids)
        mask_features, *levels = self.extract_feat(img)
        return self.panoptic_head.forward_train(mask_features, levels, batch, img.shape[3:])

    def timed_parts(self) -> dict[str, list[torch.nn.Module]]:
        """See ``ClipDetector.timed_parts``."""
        head = self.panoptic_head
        return {
            'backbone': [self.backbone],
            'pixel decoder': [head.pixel_decoder],
            'decoder': [head],
        }

    def predict_clip(
        self, features: Sequence[torch.Tensor], metas: Sequence[dict]
    ) -> ClipPrediction:
        """See ``ClipDetector.predict_clip``."""
        geometry = FrameGeometry.of_clip(metas)
        mask_features, *levels = features
        frames_per_pass = self.frames_per_pass(geometry.padded)
        return self.panoptic_head.predict(
            mask_features, levels, geometry, frames_per_pass, self.inference_config
        )
