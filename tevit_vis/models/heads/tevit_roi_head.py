"""TeViT's six stages of boxes, and masks for the instances that are output.

Yang et al., "Temporally Efficient Vision Transformer for Video Instance Segmentation",
CVPR 2022, section 3.3; built on QueryInst (Fang et al., ICCV 2021).

Letters: B clips, T frames, Q queries, C channels, K classes, N output instances, G annotations of
the frames of a clip, P positive queries, R RoIs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmcv.ops import roi_align
from mmdet.core import reduce_mean
from mmdet.models.builder import HEADS
from mmdet.models.roi_heads import SparseRoIHead
from torch import nn
from torch.nn.modules.utils import _pair

from tevit_vis.geometry import FrameGeometry
from tevit_vis.layers.clip_ops import constant, fold_frames
from tevit_vis.layers.precision import full_precision
from tevit_vis.layers.roi_align import extract_roi_feats
from tevit_vis.masks import RoIMasks
from tevit_vis.models.assigners.matching import on_device, solve
from tevit_vis.structures import ClipPrediction, ClipTruths
from tevit_vis.utils.values import whole_number

from .selection import best_pairs


class StageOutput(NamedTuple):
    """What one stage says of all queries in all frames."""

    cls_score: torch.Tensor  # [B, T, Q, K] logits
    boxes: torch.Tensor  # [B, T, Q, 4] x1 y1 x2 y2 in pixels of the network input
    object_feats: torch.Tensor  # [B, T, Q, C] queries of the next stage
    attn_feats: torch.Tensor  # [B, T, Q, C] after both attentions: input of the mask head


class Positives(NamedTuple):
    """The matched queries of a stage: P of the B*T*Q queries of all frames, in order."""

    rows: np.ndarray  # [P] numbers of the queries
    annotations: np.ndarray  # [P] numbers of the annotations among those of the whole batch
    per_clip: list[int]  # B


def boxes_to_rois(boxes: torch.Tensor) -> torch.Tensor:
    """Boxes [B, T, Q, 4] as RoIs [B*Q*T, 5] = (folded frame, x1 y1 x2 y2), frames fastest."""
    num_clips, num_frames, num_queries = boxes.shape[:3]
    frames = torch.arange(num_clips * num_frames, device=boxes.device, dtype=boxes.dtype)
    frames = frames.view(num_clips, num_frames, 1, 1).expand(-1, -1, num_queries, -1)
    return torch.cat([frames, boxes], dim=3).transpose(1, 2).flatten(0, 2)


def finite_boxes(boxes: torch.Tensor) -> torch.Tensor:
    """Boxes [..., 4] with zeros for those that are not finite, on which RoIAlign would abort the
    process; a diverging model is told of by its loss.
    """
    return boxes.where(boxes.isfinite().all(-1, keepdim=True), boxes.new_zeros(()))


@HEADS.register_module()
class TeViTRoIHead(SparseRoIHead):
    """SparseRoIHead over clips: `STQIHead` stages, one choice of classes for the whole clip.

    Args:
        with_time: False leaves out the attention along time: QueryInst on each frame, with one
            assignment per clip.
        num_classes: K of all stages, so that a config need not change each of them; None leaves
            what ``bbox_head`` and ``mask_head`` say.
        kwargs: of ``SparseRoIHead``.
    """

    def __init__(self, with_time: bool = True, num_classes: int | None = None, **kwargs) -> None:
        if num_classes is not None:
            for name in ('bbox_head', 'mask_head'):
                kwargs[name] = [dict(head, num_classes=num_classes) for head in kwargs[name]]
        super().__init__(**kwargs)
        self.with_time = with_time

    def stages(
        self,
        levels: Sequence[torch.Tensor],
        boxes: torch.Tensor,
        queries: torch.Tensor,
        img_shapes: Sequence[tuple[int, ...]],
        rois_per_pass: int,
    ) -> Iterator[StageOutput]:
        """Run the stages one after the other.

        Args:
            levels: [B, T, C, H_l, W_l] each.
            boxes: [B, T, Q, 4], x1 y1 x2 y2 in pixels of the network input.
            queries: [B, T, Q, C].
            img_shapes: (H, W, ...) of each clip before padding; clipped boxes end there.
            rois_per_pass: RoIs worked on at a time, which bounds temporaries.
        """
        frame_levels = [fold_frames(level) for level in levels]
        for stage in range(self.num_stages):
            output = self._run_stage(stage, frame_levels, boxes, queries, img_shapes, rois_per_pass)
            boxes, queries = finite_boxes(output.boxes.detach()), output.object_feats
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
        head = self.bbox_head[stage]
        num_clips, num_frames, num_queries = boxes.shape[:3]
        if self.with_time:
            queries = head.attend_within_frames(queries)
            run, queries_per_pass = head, max(1, rois_per_pass // (num_clips * num_frames))
        else:
            run, queries_per_pass = head.forward_frames, num_queries
        parts = []
        for some_boxes, some_queries in zip(
            boxes.split(queries_per_pass, dim=2), queries.split(queries_per_pass, dim=2)
        ):
            rois = boxes_to_rois(some_boxes)
            roi_feats = extract_roi_feats(self.bbox_roi_extractor[stage], frame_levels, rois)
            cls_score, deltas, object_feats, attn_feats = run(roi_feats, some_queries)
            cls_score, deltas = cls_score.float(), deltas.float()  # whatever autocast made of them
            refined = [
                head.bbox_coder.decode(clip.flatten(0, 1), change.flatten(0, 1), max_shape=shape)
                for clip, change, shape in zip(some_boxes, deltas, img_shapes)
            ]
            refined = torch.stack(refined).view_as(some_boxes)
            parts.append((cls_score, refined, object_feats, attn_feats))
        return StageOutput(*(torch.cat(part, dim=2) for part in zip(*parts)))

    def forward_train(
        self,
        levels: Sequence[torch.Tensor],
        boxes: torch.Tensor,
        queries: torch.Tensor,
        img_metas: Sequence[Sequence[dict]],
        truths: Sequence[ClipTruths],
    ) -> dict[str, torch.Tensor]:
        """Losses of all stages, named ``stage<i>_loss_cls`` and so on.

        All stages are matched together, so that the host waits for the device once.

        Args:
            levels: [B, T, C, H_l, W_l] each, in fp32.
            boxes: [B, T, Q, 4], x1 y1 x2 y2 in pixels of the network input.
            queries: [B, T, Q, C].
            img_metas: B lists of T dicts with ``img_shape``.
            truths: of the B clips.
        """
        # PARITY(TeViT): the size of a clip's first frame stands for all of them.
        img_shapes = [metas[0]['img_shape'] for metas in img_metas]
        outputs = list(self.stages(levels, boxes, queries, img_shapes, rois_per_pass=boxes.numel()))
        with full_precision(boxes.device):
            positives = self.match_stages(outputs, img_shapes, truths)
            indices = on_device(
                [array for stage in positives for array in (stage.rows, stage.annotations)],
                boxes.device,
            )
            counts = [float(len(stage.rows)) for stage in positives]
            counts = reduce_mean(torch.tensor(counts).to(boxes.device, non_blocking=True))
        losses = {}
        for stage, output in enumerate(outputs):
            rows, annotations = indices[2 * stage : 2 * stage + 2]
            with full_precision(boxes.device):
                stage_losses = self._box_losses(
                    stage, output, rows, annotations, counts[stage], img_shapes, truths
                )
            stage_losses['loss_mask'] = self._mask_loss(
                stage, levels, output, positives[stage], rows, annotations, counts[stage], truths
            )
            for name, value in stage_losses.items():
                losses[f'stage{stage}_{name}'] = value * self.stage_loss_weights[stage]
        return losses

    def match_stages(
        self,
        outputs: Sequence[StageOutput],
        img_shapes: Sequence[tuple[int, ...]],
        truths: Sequence[ClipTruths],
    ) -> list[Positives]:
        """Returns the positive queries of each stage; one assignment per stage and clip."""
        costs = []
        for assigner, output in zip(self.bbox_assigner, outputs):
            boxes, scores = finite_boxes(output.boxes.detach()), output.cls_score.detach()
            costs += [assigner.costs(*clip) for clip in zip(boxes, scores, truths, img_shapes)]
        pairs, num_clips = solve(costs), len(truths)
        shape = outputs[0].boxes.shape[1:3]
        return [
            gather_positives(pairs[start : start + num_clips], truths, shape)
            for start in range(0, len(pairs), num_clips)
        ]

    def _box_losses(
        self,
        stage: int,
        output: StageOutput,
        rows: torch.Tensor,
        annotations: torch.Tensor,
        count: torch.Tensor,
        img_shapes: Sequence[tuple[int, ...]],
        truths: Sequence[ClipTruths],
    ) -> dict[str, torch.Tensor]:
        """Losses of classes and boxes of a stage, whose positives are ``rows``, [P]."""
        num_frames, num_queries = output.boxes.shape[1:3]
        sizes = [constant(shape[1::-1] * 2, torch.float32, rows.device) for shape in img_shapes]
        clips = rows // (num_frames * num_queries)
        return self.bbox_head[stage].matched_losses(
            output.cls_score.flatten(0, 2),
            output.boxes.flatten(0, 2),
            rows,
            gt_boxes=torch.cat([clip.bboxes for clip in truths])[annotations],
            gt_labels=torch.cat([clip.labels for clip in truths])[annotations],
            sizes=torch.stack(sizes)[clips],
            count=count,
            positive_weight=float(self.train_cfg[stage].pos_weight),
        )

    def _mask_loss(
        self,
        stage: int,
        levels: Sequence[torch.Tensor],
        output: StageOutput,
        positives: Positives,
        rows: torch.Tensor,
        annotations: torch.Tensor,
        count: torch.Tensor,
        truths: Sequence[ClipTruths],
    ) -> torch.Tensor:
        """Mask loss of the positive queries of a stage."""
        head = self.mask_head[stage]
        if not len(rows) and not has_synchronised_norm(head):
            # Every weight has part in this 0, as other processes expect; batch norm cannot run.
            return sum(part.sum() * 0 for part in (output.attn_feats, *head.parameters()))
        boxes = finite_boxes(output.boxes.detach()).flatten(0, 2)[rows]
        frames = (rows // output.boxes.shape[2]).to(boxes.dtype)
        masks = self._mask_forward(
            stage,
            [fold_frames(level) for level in levels],
            torch.cat([frames[:, None], boxes], 1),
            output.attn_feats.flatten(0, 2)[rows],
        )['mask_pred']
        with full_precision(boxes.device):
            labels = torch.cat([clip.labels for clip in truths])[annotations]
            own_class = masks[torch.arange(len(rows), device=rows.device), labels]
            if not len(rows):
                return masks.sum()
            targets = self._mask_targets(stage, boxes, annotations, positives.per_clip, truths)
            return head.loss_mask(own_class.sigmoid(), targets, avg_factor=count.clamp(min=1.0))

    def _mask_targets(
        self,
        stage: int,
        boxes: torch.Tensor,
        annotations: torch.Tensor,
        per_clip: list[int],
        truths: Sequence[ClipTruths],
    ) -> torch.Tensor:
        """The true masks in predicted boxes [P, 4], of 0 and 1: [P, h, w].

        The same as mmdet's ``mask_target``, for all frames of a clip at once and on the device.
        """
        cfg = self.train_cfg[stage]
        targets, first = [], 0
        for clip, some_boxes, some in zip(
            truths, boxes.split(per_clip), annotations.split(per_clip)
        ):
            height, width = clip.masks.shape[1:]
            corners = some_boxes.minimum(
                constant((width, height) * 2, boxes.dtype, boxes.device)
            ).clamp(min=0)
            rois = torch.cat([(some - first)[:, None].to(boxes.dtype), corners], 1)
            masks = clip.masks[:, None].to(boxes.dtype)
            if len(rois):  # a kernel cannot be launched for none
                size = _pair(cfg.mask_size)
                targets.append(roi_align(masks, rois, size, 1.0, 0, 'avg', True)[:, 0])
            first += len(clip.labels)
        soft = torch.cat(targets)
        return soft if cfg.get('soft_mask_target', False) else (soft >= 0.5).to(boxes.dtype)

    def _mask_forward(
        self,
        stage: int,
        x: Sequence[torch.Tensor],
        rois: torch.Tensor,
        attn_feats: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """SparseRoIHead's step with our RoI features."""
        roi_feats = extract_roi_feats(self.mask_roi_extractor[stage], x, rois)
        return dict(mask_pred=self.mask_head[stage](roi_feats, attn_feats).float())

    def predict(
        self,
        levels: Sequence[torch.Tensor],
        output: StageOutput,
        geometry: FrameGeometry,
        rois_per_pass: int,
        one_per_query: bool,
    ) -> ClipPrediction:
        """The best (query, class) pairs of one clip, and masks for them alone.

        Args:
            levels: [1, T, C, H_l, W_l] each.
            output: of the last stage, B = 1.
            geometry: of the clip's frames.
            rois_per_pass: RoIs worked on at a time, which bounds temporaries.
            one_per_query: a query under its best class alone.
        """
        probabilities = self.bbox_head[-1].class_probabilities(output.cls_score[0])
        scores = probabilities.mean(0)  # [T,Q,K] -> [Q,K]
        wanted = whole_number('model.test_cfg.rcnn.max_per_img', self.test_cfg.max_per_img, least=0)
        best_scores, queries, labels = best_pairs(scores, wanted, one_per_query)
        boxes = output.boxes[:, :, queries]
        logits = self._mask_logits(
            levels, boxes, output.attn_feats[:, :, queries], labels, rois_per_pass
        )
        boxes = geometry.boxes_to_frame(boxes[0].transpose(0, 1))  # [1,T,N,4] -> [N,T,4]
        masks = RoIMasks(
            logits=logits.transpose(0, 1),
            boxes=boxes,
            size=geometry.original,
            threshold=self.test_cfg.mask_thr_binary,
        )
        return ClipPrediction(
            queries=queries,
            labels=labels,
            scores=best_scores,
            class_scores=scores[queries],
            boxes=boxes,
            masks=masks,
        )

    def _mask_logits(
        self,
        levels: Sequence[torch.Tensor],
        boxes: torch.Tensor,
        attn_feats: torch.Tensor,
        labels: torch.Tensor,
        rois_per_pass: int,
    ) -> torch.Tensor:
        """Mask logits [T, N, h, w] of the chosen class, from boxes [1, T, N, 4]."""
        frame_levels = [fold_frames(level) for level in levels]
        rois = boxes_to_rois(boxes)
        feats = attn_feats.transpose(1, 2).flatten(0, 2)  # [1,T,N,C] -> [N*T,C]
        labels = labels.repeat_interleave(boxes.shape[1])  # [N] -> [N*T]
        last = self.num_stages - 1
        logits = []
        for some_rois, some_feats, some_labels in zip(
            rois.split(rois_per_pass), feats.split(rois_per_pass), labels.split(rois_per_pass)
        ):
            results = self._mask_forward(last, frame_levels, some_rois, some_feats)
            all_classes = results['mask_pred']  # [R, K, h, w]
            logits.append(all_classes[torch.arange(len(some_labels)), some_labels])
        return torch.cat(logits).unflatten(0, boxes.shape[2:0:-1]).transpose(0, 1)


def gather_positives(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    truths: Sequence[ClipTruths],
    shape: tuple[int, int],
) -> Positives:
    """The queries that a stage's matches make positive, frame by frame.

    A query that is matched to an instance is background in the frames that lack the instance.

    Args:
        pairs: matched queries and instances of each clip.
        truths: of the clips.
        shape: (T, Q).
    """
    num_frames, num_queries = shape
    rows, annotations, first = [], [], 0
    for clip, ((queries, instances), truth) in enumerate(zip(pairs, truths)):
        query_of = np.full(len(truth.num_frames), -1)  # -1: queries ran out
        query_of[instances] = queries
        matched = query_of[truth.on_host]  # [G]
        frame_of = clip * num_frames + np.repeat(np.arange(num_frames), truth.per_frame)
        positive = np.flatnonzero(matched >= 0)
        clip_rows = frame_of[positive] * num_queries + matched[positive]
        order = np.argsort(clip_rows)
        rows.append(clip_rows[order])
        annotations.append(first + positive[order])
        first += len(truth.on_host)
    return Positives(np.concatenate(rows), np.concatenate(annotations), list(map(len, rows)))


def has_synchronised_norm(module: nn.Module) -> bool:
    """Whether other processes wait in a batch norm of the module, also for one without samples."""
    return any(isinstance(part, nn.SyncBatchNorm) for part in module.modules())
