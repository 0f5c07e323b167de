"""TeViT's six stages of boxes, and masks for the instances that are output.

Yang et al., "Temporally Efficient Vision Transformer for Video Instance Segmentation",
CVPR 2022, section 3.3; built on QueryInst (Fang et al., ICCV 2021).

Letters: B clips, T frames, Q queries, C channels, K classes, N output instances, G true
instances of a frame, R RoIs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from mmdet.core import BitmapMasks
from mmdet.core.bbox.samplers import SamplingResult
from mmdet.models.builder import HEADS
from mmdet.models.roi_heads import SparseRoIHead

from tevit_vis.layers.clip_ops import fold_frames
from tevit_vis.layers.roi_align import extract_roi_feats
from tevit_vis.masks import RoIMasks
from tevit_vis.structures import ClipPrediction, FrameGeometry
from tevit_vis.utils.errors import whole_number

from .selection import best_pairs


class StageOutput(NamedTuple):
    """What one stage says of all queries in all frames."""

    cls_score: torch.Tensor  # [B, T, Q, K] logits
    boxes: torch.Tensor  # [B, T, Q, 4] x1 y1 x2 y2 in pixels of the network input
    object_feats: torch.Tensor  # [B, T, Q, C] queries of the next stage
    attn_feats: torch.Tensor  # [B, T, Q, C] after both attentions: input of the mask head


class ClipTruths(NamedTuple):
    """Ground truth of the B*T frames of a batch of clips, frame after frame."""

    bboxes: list[torch.Tensor]  # [G, 4] x1 y1 x2 y2 in pixels of the network input
    labels: list[torch.Tensor]  # [G]
    masks: list[BitmapMasks]  # G masks, padded like the network input
    ids: list[torch.Tensor]  # [G], equal for an instance in all frames of its clip


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
        truths: ClipTruths,
    ) -> dict[str, torch.Tensor]:
        """Losses of all stages, named ``stage<i>_loss_cls`` and so on.

        Args:
            levels: [B, T, C, H_l, W_l] each.
            boxes: [B, T, Q, 4], x1 y1 x2 y2 in pixels of the network input.
            queries: [B, T, Q, C].
            img_metas: B lists of T dicts with ``img_shape``.
            truths: of the B*T frames.
        """
        losses = {}
        img_shapes = [metas[0]['img_shape'] for metas in img_metas]
        outputs = self.stages(levels, boxes, queries, img_shapes, rois_per_pass=boxes.numel())
        for stage, output in enumerate(outputs):
            samples = self._match(stage, output, img_metas, truths)
            stage_losses = self._box_losses(stage, output, samples, img_metas, truths)
            stage_losses['loss_mask'] = self._mask_loss(stage, levels, output, samples, truths)
            for name, value in stage_losses.items():
                losses[f'stage{stage}_{name}'] = value * self.stage_loss_weights[stage]
        return losses

    def _match(
        self,
        stage: int,
        output: StageOutput,
        img_metas: Sequence[Sequence[dict]],
        truths: ClipTruths,
    ) -> list[SamplingResult]:
        """Positive and negative queries of each of the B*T frames; one assignment per clip."""
        boxes, scores = finite_boxes(output.boxes.detach()), output.cls_score.detach()
        num_frames = boxes.shape[1]
        samples = []
        for clip, metas in enumerate(img_metas):
            frames = slice(clip * num_frames, (clip + 1) * num_frames)
            assigned = self.bbox_assigner[stage].assign(
                boxes[clip],
                scores[clip],
                truths.bboxes[frames],
                truths.labels[frames],
                truths.ids[frames],
                # PARITY(TeViT): the size of the clip's first frame stands for all of them.
                metas[0]['img_shape'],
            )
            samples += [
                self.bbox_sampler[stage].sample(*parts)
                for parts in zip(assigned, boxes[clip], truths.bboxes[frames])
            ]
        return samples

    def _box_losses(
        self,
        stage: int,
        output: StageOutput,
        samples: list[SamplingResult],
        img_metas: Sequence[Sequence[dict]],
        truths: ClipTruths,
    ) -> dict[str, torch.Tensor]:
        head = self.bbox_head[stage]
        targets = head.get_targets(
            samples, truths.bboxes, truths.labels, self.train_cfg[stage], True
        )
        num_frames, num_queries = output.boxes.shape[1:3]
        sizes = [metas[0]['img_shape'][1::-1] * 2 for metas in img_metas]  # (w, h, w, h)
        sizes = output.boxes.new_tensor(sizes)[:, None, None].expand(
            -1, num_frames, num_queries, -1
        )
        return head.loss(
            output.cls_score.flatten(0, 2),
            output.boxes.flatten(0, 2),
            *targets,
            imgs_whwh=sizes.flatten(0, 2),
        )

    def _mask_loss(
        self,
        stage: int,
        levels: Sequence[torch.Tensor],
        output: StageOutput,
        samples: list[SamplingResult],
        truths: ClipTruths,
    ) -> torch.Tensor:
        """Mask loss of the positive queries; 0 without any, since batch norm cannot run."""
        if not any(len(sample.pos_inds) for sample in samples):
            return self._no_mask_loss(stage, output)
        frame_levels = [fold_frames(level) for level in levels]
        results = self._mask_forward_train(
            stage,
            frame_levels,
            fold_frames(output.attn_feats),
            samples,
            truths.masks,
            self.train_cfg[stage],
        )
        return results['loss_mask']

    def _no_mask_loss(self, stage: int, output: StageOutput) -> torch.Tensor:
        """0 that every weight has part in, as other processes expect; like them it shares the
        number of positives.
        """
        head = self.mask_head[stage]
        nothing = output.attn_feats.new_zeros(0, 1, 1, 1)
        loss = head.loss(nothing, nothing, nothing.new_zeros(0, dtype=torch.long))['loss_mask']
        parts = [output.attn_feats, *head.parameters()]
        return loss + sum(part.sum() * 0 for part in parts)

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
