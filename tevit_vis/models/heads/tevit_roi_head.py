"""TeViT's head: six stages that refine boxes, and masks for the instances that are output.

Yang et al., "Temporally Efficient Vision Transformer for Video Instance Segmentation",
CVPR 2022, section 3.3; built on QueryInst (Fang et al., ICCV 2021).

Letters: B clips, T frames, Q queries, C channels, K classes, N output instances, P positive
queries, R RoIs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from mmdet.core import bbox_xyxy_to_cxcywh, reduce_mean
from mmdet.models.builder import HEADS
from mmdet.models.roi_heads import SparseRoIHead
from torch.nn.modules.utils import _pair

from tevit_vis.geometry import FrameGeometry
from tevit_vis.ground_truth import GtTubes
from tevit_vis.inference_config import InferenceConfig
from tevit_vis.layers.clip_ops import fold_frames
from tevit_vis.layers.exporting import split_parts
from tevit_vis.layers.norms import has_synchronised_norm
from tevit_vis.layers.precision import full_precision
from tevit_vis.layers.roi_align import boxes_to_rois, extract_roi_feats, replace_nonfinite_boxes
from tevit_vis.masks import RoIMasks
from tevit_vis.models.assigners.tube_assigner import solve_assignments
from tevit_vis.models.assigners.tube_costs import PredTubes
from tevit_vis.structures import ClipPrediction

from .clip_query_head import check_assigner
from .gather_gt import box_scale
from .positives import GtByFrame, Positives, gather_positives
from .selection import best_pairs
from .stqi_head import StageOutput


@HEADS.register_module()
class TeViTRoIHead(SparseRoIHead):
    """SparseRoIHead over clips, with ``STQIHead`` stages and one class score for the whole clip.

    Args:
        with_time: whether queries attend along time; without it the head is QueryInst on each
            frame, with one assignment per clip.
        num_classes: K of all stages, so that a config need not change each of them; None keeps
            the numbers in ``bbox_head`` and ``mask_head``.
        kwargs: of ``SparseRoIHead``.
    """

    def __init__(self, with_time: bool = True, num_classes: int | None = None, **kwargs) -> None:
        if num_classes is not None:
            for name in ('bbox_head', 'mask_head'):
                kwargs[name] = [dict(head, num_classes=num_classes) for head in kwargs[name]]
        super().__init__(**kwargs)
        self.with_time = with_time
        for assigner in self.bbox_assigner or ():
            check_assigner(assigner, frozenset({'classes', 'boxes'}), type(self).__name__)

    def stages(
        self,
        levels: Sequence[torch.Tensor],
        boxes: torch.Tensor,
        queries: torch.Tensor,
        img_shapes: Sequence[tuple[int, ...]],
        rois_per_pass: int,
    ) -> Iterator[StageOutput]:
        """Yields the output of each stage; a stage starts from the boxes of the stage before.

        Args:
            levels: [B, T, C, H_l, W_l] each.
            boxes: [B, T, Q, 4], x1 y1 x2 y2 in pixels of the network input.
            queries: [B, T, Q, C].
            img_shapes: (H, W, ...) of each clip before padding, to which boxes are clipped.
            rois_per_pass: RoIs worked on at a time, which bounds temporaries.
        """
        frame_levels = [fold_frames(level) for level in levels]
        for stage in range(self.num_stages):
            output = self._run_stage(stage, frame_levels, boxes, queries, img_shapes, rois_per_pass)
            boxes, queries = replace_nonfinite_boxes(output.boxes.detach()), output.object_feats
            yield output

    def _run_stage(
        self,
        stage: int,
        frame_levels: list[torch.Tensor],
        boxes: torch.Tensor,
        queries: torch.Tensor,
        img_shapes: Sequence[tuple[int, ...]],
        rois_per_pass: int,
    ) -> StageOutput:
        """Returns the output of one stage, computed for some queries at a time."""
        # Attend within frames, which needs all queries at once.
        head = self.bbox_head[stage]
        num_clips, num_frames, num_queries = boxes.shape[:3]
        if self.with_time:
            queries = head.attend_within_frames(queries)
            run_head, queries_per_pass = head, max(1, rois_per_pass // (num_clips * num_frames))
        else:
            run_head, queries_per_pass = head.forward_frames, num_queries
        # Run the rest of the head on some queries at a time.
        parts = []
        for part_boxes, part_queries in zip(
            split_parts(boxes, queries_per_pass, dim=2),
            split_parts(queries, queries_per_pass, dim=2),
        ):
            rois = boxes_to_rois(part_boxes)
            roi_feats = extract_roi_feats(self.bbox_roi_extractor[stage], frame_levels, rois)
            cls_score, deltas, object_feats, attn_feats = run_head(roi_feats, part_queries)
            cls_score, deltas = cls_score.float(), deltas.float()  # fp32 also under autocast
            refined_boxes = [
                head.bbox_coder.decode(clip.flatten(0, 1), delta.flatten(0, 1), max_shape=shape)
                for clip, delta, shape in zip(part_boxes, deltas, img_shapes)
            ]
            refined_boxes = torch.stack(refined_boxes).view_as(part_boxes)
            parts.append((cls_score, refined_boxes, object_feats, attn_feats))
        return StageOutput(*(torch.cat(field, dim=2) for field in zip(*parts)))

    def forward_train(
        self,
        levels: Sequence[torch.Tensor],
        boxes: torch.Tensor,
        queries: torch.Tensor,
        img_metas: Sequence[Sequence[dict]],
        gt_tubes: Sequence[GtTubes],
    ) -> dict[str, torch.Tensor]:
        """Returns the losses of all stages, named ``stage<i>_loss_cls`` and so on.

        All stages are matched together, so that the host waits for the device once.

        Args:
            levels: [B, T, C, H_l, W_l] each, in fp32.
            boxes: [B, T, Q, 4], x1 y1 x2 y2 in pixels of the network input.
            queries: [B, T, Q, C].
            img_metas: B lists of T dicts with ``img_shape``.
            gt_tubes: of the B clips.
        """
        # PARITY(TeViT): the size of a clip's first frame is used for all of its frames.
        img_shapes = [metas[0]['img_shape'] for metas in img_metas]
        # Run all stages and match their queries.
        outputs = list(self.stages(levels, boxes, queries, img_shapes, rois_per_pass=boxes.numel()))
        with full_precision(boxes.device):
            gt = GtByFrame.of_clips(gt_tubes, img_shapes)
            positives = self.match_stages(outputs, img_shapes, gt_tubes)
            counts = [float(len(stage.rows_on_host)) for stage in positives]
            num_positives = reduce_mean(torch.tensor(counts).to(boxes.device, non_blocking=True))
        # Compute the losses of each stage.
        losses = {}
        for stage, output in enumerate(outputs):
            with full_precision(boxes.device):
                stage_losses = self.bbox_head[stage].matched_losses(
                    output.cls_score.flatten(0, 2),
                    output.boxes.flatten(0, 2),
                    positives[stage].rows,
                    gt_boxes=gt.boxes[positives[stage].instances],
                    gt_labels=gt.labels[positives[stage].instances],
                    sizes=gt.image_sizes[positives[stage].instances],
                    num_positives=num_positives[stage],
                    positive_weight=float(self.train_cfg[stage].pos_weight),
                )
            stage_losses['loss_mask'] = self._mask_loss(
                stage, levels, output, positives[stage], num_positives[stage], gt
            )
            for name, value in stage_losses.items():
                losses[f'stage{stage}_{name}'] = value * self.stage_loss_weights[stage]
        return losses

    def match_stages(
        self,
        outputs: Sequence[StageOutput],
        img_shapes: Sequence[tuple[int, ...]],
        gt_tubes: Sequence[GtTubes],
    ) -> list[Positives]:
        """Returns the positive queries of each stage; one assignment per stage and clip."""
        cost_matrices = []
        for assigner, output in zip(self.bbox_assigner, outputs):
            boxes = replace_nonfinite_boxes(output.boxes.detach())
            scores = output.cls_score.detach()
            for clip_boxes, cls_scores, clip, img_shape in zip(boxes, scores, gt_tubes, img_shapes):
                relative = bbox_xyxy_to_cxcywh(clip_boxes / box_scale(img_shape, boxes.device))
                cost_matrices.append(assigner.cost_matrix(PredTubes(cls_scores, relative), clip))
        return gather_positives(
            solve_assignments(cost_matrices),
            gt_tubes,
            outputs[0].boxes.shape[2],
            outputs[0].boxes.device,
        )

    def _mask_loss(
        self,
        stage: int,
        levels: Sequence[torch.Tensor],
        output: StageOutput,
        positives: Positives,
        num_positives: torch.Tensor,
        gt: GtByFrame,
    ) -> torch.Tensor:
        """Returns the mask loss of the positive queries of a stage."""
        head, rows = self.mask_head[stage], positives.rows
        if not len(rows) and not has_synchronised_norm(head):
            # This 0 depends on every weight, as other processes expect. The head itself cannot run,
            # since batch norm needs a sample.
            return sum(tensor.sum() * 0 for tensor in (output.attn_feats, *head.parameters()))
        # Predict the masks of the positive queries.
        boxes = replace_nonfinite_boxes(output.boxes.detach()).flatten(0, 2)[rows]
        frames = (rows // output.boxes.shape[2]).to(boxes.dtype)
        masks = self._mask_forward(
            stage,
            [fold_frames(level) for level in levels],
            torch.cat([frames[:, None], boxes], 1),
            output.attn_feats.flatten(0, 2)[rows],
        )['mask_pred']
        # Compare the masks of their classes with the ground truth in their boxes.
        with full_precision(boxes.device):
            labels = gt.labels[positives.instances]
            pred_masks = masks[torch.arange(len(rows), device=rows.device), labels]
            if not len(rows):
                return masks.sum()
            cfg = self.train_cfg[stage]
            gt_masks = gt.masks_in_boxes(boxes, positives, _pair(cfg.mask_size))
            if not cfg.get('soft_mask_target', False):
                gt_masks = (gt_masks >= 0.5).to(boxes.dtype)
            divisor = num_positives.clamp(min=1.0)
            return head.loss_mask(pred_masks.sigmoid(), gt_masks, avg_factor=divisor)

    def _mask_forward(
        self,
        stage: int,
        x: Sequence[torch.Tensor],
        rois: torch.Tensor,
        attn_feats: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Overrides SparseRoIHead's method, with the RoI features of ``extract_roi_feats``."""
        roi_feats = extract_roi_feats(self.mask_roi_extractor[stage], x, rois)
        return dict(mask_pred=self.mask_head[stage](roi_feats, attn_feats).float())

    def predict(
        self,
        levels: Sequence[torch.Tensor],
        output: StageOutput,
        geometry: FrameGeometry,
        rois_per_pass: int,
        config: InferenceConfig,
    ) -> ClipPrediction:
        """Returns the best (query, class) pairs of one clip, with their masks.

        Args:
            levels: [1, T, C, H_l, W_l] each.
            output: of the last stage, B = 1.
            geometry: of the clip's frames.
            rois_per_pass: RoIs worked on at a time, which bounds temporaries.
            config: which pairs are output, and the threshold of masks.
        """
        probabilities = self.bbox_head[-1].class_probabilities(output.cls_score[0])
        class_scores = probabilities.mean(0)  # [T,Q,K] -> [Q,K]
        scores, queries, labels = best_pairs(class_scores, config)
        boxes = output.boxes[:, :, queries]
        logits = self._mask_logits(
            levels, boxes, output.attn_feats[:, :, queries], labels, rois_per_pass
        )
        boxes = geometry.boxes_to_frame(boxes[0].transpose(0, 1))  # [1,T,N,4] -> [N,T,4]
        masks = RoIMasks(
            logits=logits.transpose(0, 1),
            boxes=boxes,
            size=geometry.original,
            threshold=config.mask_threshold,
        )
        return ClipPrediction(
            queries=queries,
            labels=labels,
            scores=scores,
            class_scores=class_scores[queries],
            boxes=boxes,
            masks=masks,
            embeddings=output.object_feats[0, :, queries].transpose(0, 1),  # [N, T, C]
        )

    def _mask_logits(
        self,
        levels: Sequence[torch.Tensor],
        boxes: torch.Tensor,
        attn_feats: torch.Tensor,
        labels: torch.Tensor,
        rois_per_pass: int,
    ) -> torch.Tensor:
        """Returns mask logits [T, N, h, w] of classes ``labels`` in boxes [1, T, N, 4]."""
        frame_levels = [fold_frames(level) for level in levels]
        rois = boxes_to_rois(boxes)
        feats = attn_feats.transpose(1, 2).flatten(0, 2)  # [1,T,N,C] -> [N*T,C]
        labels = labels[:, None].expand(-1, boxes.shape[1]).flatten()  # [N] -> [N*T]
        last_stage = self.num_stages - 1
        logits = []
        for some_rois, some_feats, some_labels in zip(
            *(split_parts(each, rois_per_pass) for each in (rois, feats, labels))
        ):
            results = self._mask_forward(last_stage, frame_levels, some_rois, some_feats)
            all_classes = results['mask_pred']  # [R, K, h, w]
            logits.append(all_classes[torch.arange(some_labels.shape[0]), some_labels])
        return torch.cat(logits).unflatten(0, boxes.shape[2:0:-1]).transpose(0, 1)
