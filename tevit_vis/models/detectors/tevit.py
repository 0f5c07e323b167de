"""TeViT: Yang et al., "Temporally Efficient Vision Transformer for Video Instance Segmentation",
CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import ClassVar

import torch
from mmdet.models.builder import DETECTORS
from mmdet.models.detectors import QueryInst

from tevit_vis.geometry import FrameGeometry
from tevit_vis.layers.clip_ops import fold_frames, unfold_frames
from tevit_vis.layers.exporting import is_exporting
from tevit_vis.models.heads.gather_gt import gather_batch
from tevit_vis.models.heads.stqi_head import StageOutput
from tevit_vis.structures import ClipPrediction
from tevit_vis.utils.devices import how_many_fit

from .clip_detector import MEMORY_PART, ClipDetector

# Defaults of test_cfg.rois_per_pass, and a generous estimate of the temporary memory of a RoI.
CPU_ROIS_PER_PASS, GPU_ROIS_PER_PASS = 512, 8192
BYTES_PER_ROI = 1 << 20


@DETECTORS.register_module()
class TeViT(ClipDetector, QueryInst):
    """mmdet's QueryInst over clips, with ``TeViTRoIHead`` as ``roi_head``.

    Its constructor, config keys and parts are those of QueryInst. At inference
    ``test_cfg.rois_per_pass`` RoIs go through the heads at a time. It bounds the memory of a long
    video and changes results by rounding only.
    """

    head_name = 'roi_head'
    config_sections: ClassVar = {
        'test_cfg': (
            *('frames_per_pass', 'rois_per_pass', 'windows', 'tracker'),
            *('drop_empty', 'min_mask_score', 'rpn', 'rcnn'),
        )
    }

    def _neck_maps(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Returns maps in fp32: RoIAlign has no bf16 kernel, and its weights need more digits."""
        return [level.float() for level in super()._neck_maps(maps)]

    def proposals(
        self, features: Sequence[torch.Tensor], metas: Sequence[dict]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the learned boxes [B, T, Q, 4] and queries [B, T, Q, C], equal in all frames.

        Boxes are x1 y1 x2 y2 in pixels of the network input.

        Args:
            features: [B, T, C, H_l, W_l] each.
            metas: B*T dicts, clip after clip, with ``img_shape``.
        """
        num_clips = len(features[0])
        if is_exporting():  # where the number of frames is free
            boxes, queries, _ = self.rpn_head.simple_test_rpn([features[0][:, 0]], metas[:1])
            frames = (-1, features[0].shape[1], -1, -1)
            return boxes[:, None].expand(frames), queries[:, None].expand(frames)
        frame_levels = [fold_frames(level) for level in features]
        boxes, queries, _ = self.rpn_head.simple_test_rpn(frame_levels, metas)
        return unfold_frames(boxes, num_clips), unfold_frames(queries, num_clips)

    def stages(
        self, features: Sequence[torch.Tensor], metas: Sequence[dict]
    ) -> Iterator[StageOutput]:
        """Yields the output of each stage for B clips; arguments as of ``proposals``."""
        boxes, queries = self.proposals(features, metas)
        img_shapes = [meta['img_shape'] for meta in metas[:: len(metas) // len(boxes)]]
        return self.roi_head.stages(features, boxes, queries, img_shapes, self.rois_per_pass)

    def forward_train(self, img, img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids):
        """See ``ClipDetector.forward_train``."""
        features = self.extract_feat(img)
        boxes, queries = self.proposals(features, list(chain(*img_metas)))
        gt_tubes = gather_batch(img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids, size=None)
        return self.roi_head.forward_train(features, boxes, queries, img_metas, gt_tubes)

    @property
    def rois_per_pass(self) -> int:
        """RoIs that go through the heads at a time at inference."""
        value = self.inference_config.rois_per_pass
        if value is not None:
            return value
        return self._cached_default('rois_per_pass', pixels=0)

    def _choose_default(self, name: str, pixels: int, device: torch.device) -> int:
        """See ``ClipDetector._choose_default``."""
        if name != 'rois_per_pass':
            return super()._choose_default(name, pixels, device)
        if device.type == 'cpu':
            return CPU_ROIS_PER_PASS
        return how_many_fit(
            device, BYTES_PER_ROI, CPU_ROIS_PER_PASS, GPU_ROIS_PER_PASS, part=MEMORY_PART
        )

    @property
    def num_classes(self) -> int:
        """The number of classes that the model predicts."""
        return self.roi_head.bbox_head[-1].num_classes

    def timed_parts(self) -> dict[str, list[torch.nn.Module]]:
        """See ``ClipDetector.timed_parts``."""
        head = self.roi_head
        return {
            **super().timed_parts(),
            'box RoIAlign': list(head.bbox_roi_extractor),
            'box stages': list(head.bbox_head),
            'mask RoIAlign': list(head.mask_roi_extractor),
            'mask head': list(head.mask_head),
        }

    def predict_clip(
        self, features: Sequence[torch.Tensor], metas: Sequence[dict]
    ) -> ClipPrediction:
        """See ``ClipDetector.predict_clip``."""
        *_, last_output = self.stages(features, metas)
        geometry = FrameGeometry.of_clip(metas)
        return self.roi_head.predict(
            features, last_output, geometry, self.rois_per_pass, self.inference_config
        )
