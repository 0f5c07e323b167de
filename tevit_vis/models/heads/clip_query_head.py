"""The base class of heads whose queries stand for one instance in all frames of a clip.

A head says what each decoder layer predicts (``LayerPrediction``) and on which cells masks are
compared (``mask_targets``). Matching, losses, their names and their divisor are here.

Letters: B clips, T frames, Q queries, K classes, N instances of a clip, h and w cells of a mask.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import torch
from mmcv.runner import BaseModule
from mmdet.core import bbox_cxcywh_to_xyxy, build_assigner
from mmdet.models.builder import build_loss
from torch import nn

from tevit_vis.ground_truth import GtTubes
from tevit_vis.layers.clip_ops import arrays_to_device
from tevit_vis.layers.precision import full_precision
from tevit_vis.models.assigners.tube_assigner import TubeHungarianAssigner, solve_assignments
from tevit_vis.models.assigners.tube_costs import PredTubes
from tevit_vis.utils.errors import InputError

from .gather_gt import mean_instance_count

Pairs = tuple[torch.Tensor, torch.Tensor]  # matched queries and their instances, int64


class LayerPrediction(NamedTuple):
    """What one decoder layer predicts for a batch of clips."""

    cls_scores: torch.Tensor  # [B, Q, K] logits, or [B, Q, K + 1] where the last is no object
    boxes: torch.Tensor | None  # [B, T, Q, 4] centre x y, width, height, relative to the image
    # (index of a clip, indices [N] of its queries) -> logits [N, T, h, w]. It is a function, since
    # the masks of most queries are never needed.
    mask_logits: Callable[[int, torch.Tensor], torch.Tensor]


class MatchedQueries(NamedTuple):
    """The matched queries of one layer beside the ground truth that they are compared with."""

    labels: torch.Tensor  # [B, Q], K where a query has no instance
    pred_boxes: torch.Tensor | None  # [sum(T * N), 4], relative to the image
    gt_boxes: torch.Tensor | None
    pred_masks: list[torch.Tensor]  # [N, T, h, w] logits of each clip
    gt_masks: list[torch.Tensor]  # [N, T, h, w], 0 to 1


class ClipQueryHead(BaseModule):
    """A head whose queries stand for one instance in all frames of a clip.

    Args:
        num_classes: K.
        losses: configs by name: ``ce`` of classes, ``mask`` and ``dice`` of masks, and, if the
            layers predict boxes, ``bbox`` and ``giou``.
        train_cfg: ``assigner``; None for inference.
        test_cfg: for subclasses.

    Raises:
        InputError: the assigner compares what the head does not predict.
    """

    predicts: ClassVar[frozenset[str]]  # of 'classes', 'boxes' and 'masks'

    def __init__(
        self,
        num_classes: int,
        losses: dict,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.losses = nn.ModuleDict({name: build_loss(loss) for name, loss in losses.items()})
        self.test_cfg = test_cfg
        self.assigner: TubeHungarianAssigner | None = None
        if train_cfg:
            self.assigner = build_assigner(train_cfg['assigner'])
            check_assigner(self.assigner, self.predicts, type(self).__name__)

    @abstractmethod
    def mask_targets(self, gt_tubes: GtTubes) -> torch.Tensor:
        """Returns the masks of a clip's instances on the cells of mask logits: [N, T, h, w]."""

    def layer_losses(
        self, layers: Sequence[LayerPrediction], gt_tubes: Sequence[GtTubes]
    ) -> tuple[dict[str, torch.Tensor], MatchedQueries]:
        """Returns the losses of all layers, and the matched queries of the last layer.

        The losses are called ``loss_ce`` and so on in the last layer, ``loss_ce_0`` in the first.

        Args:
            layers: the predictions of each layer.
            gt_tubes: of each clip.
        """
        device = layers[0].cls_scores.device
        with full_precision(device):
            num_instances = mean_instance_count(gt_tubes, device)
            gt_masks = [self.mask_targets(clip) for clip in gt_tubes]
            pairs_of_layers = self.match_layers(layers, gt_tubes, gt_masks)
            losses = []
            for layer, pairs in zip(layers, pairs_of_layers):
                matched = self._gather_matched(layer, gt_tubes, gt_masks, pairs)
                losses.append(self._losses_of_layer(layer, matched, num_instances))
        return name_layer_losses(losses), matched

    @torch.no_grad()
    def match_layers(
        self,
        layers: Sequence[LayerPrediction],
        gt_tubes: Sequence[GtTubes],
        gt_masks: Sequence[torch.Tensor],
    ) -> list[list[Pairs]]:
        """Returns the matched queries and instances of each layer and clip.

        Args:
            layers: the predictions of each layer.
            gt_tubes: of each clip.
            gt_masks: of each clip, from ``mask_targets``.
        """
        assert self.assigner is not None
        all_queries = torch.arange(layers[0].cls_scores.shape[1], device=gt_masks[0].device)
        cost_matrices = []
        for layer in layers:
            for b, (clip, masks) in enumerate(zip(gt_tubes, gt_masks)):
                pred = PredTubes(
                    cls_scores=layer.cls_scores[b][None],
                    boxes=None if layer.boxes is None else layer.boxes[b],
                    masks=layer.mask_logits(b, all_queries)
                    if 'masks' in self.assigner.compares
                    else None,
                )
                cost_matrices.append(self.assigner.cost_matrix(pred, clip.with_masks(masks)))
        pairs_on_host = solve_assignments(cost_matrices)
        indices = arrays_to_device(
            [side for pair in pairs_on_host for side in pair], gt_masks[0].device
        )
        pairs = list(zip(indices[::2], indices[1::2]))
        num_clips = len(gt_tubes)
        return [pairs[first : first + num_clips] for first in range(0, len(pairs), num_clips)]

    def _gather_matched(
        self,
        layer: LayerPrediction,
        gt_tubes: Sequence[GtTubes],
        gt_masks: Sequence[torch.Tensor],
        pairs: Sequence[Pairs],
    ) -> MatchedQueries:
        """Returns the matched queries of a layer beside their instances."""
        labels = layer.cls_scores.new_full(
            layer.cls_scores.shape[:2], self.num_classes, dtype=torch.long
        )
        pred_boxes, gt_boxes, pred_masks, matched_gt_masks = [], [], [], []
        for b, (clip, masks, (queries, instances)) in enumerate(zip(gt_tubes, gt_masks, pairs)):
            labels[b, queries] = clip.labels[instances]
            pred_masks.append(layer.mask_logits(b, queries))
            matched_gt_masks.append(masks[instances])
            if layer.boxes is not None:
                pred_boxes.append(layer.boxes[b][:, queries].flatten(0, 1))
                gt_boxes.append(clip.relative_boxes[:, instances].flatten(0, 1))
        with_boxes = layer.boxes is not None
        return MatchedQueries(
            labels=labels,
            pred_boxes=torch.cat(pred_boxes) if with_boxes else None,
            gt_boxes=torch.cat(gt_boxes) if with_boxes else None,
            pred_masks=pred_masks,
            gt_masks=matched_gt_masks,
        )

    def _losses_of_layer(
        self, layer: LayerPrediction, matched: MatchedQueries, num_instances: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Returns the losses of one layer; ``class_loss`` may have a divisor of its own."""
        losses = dict(loss_ce=self.class_loss(layer.cls_scores, matched.labels, num_instances))
        if layer.boxes is not None:
            num_boxes = num_instances * layer.boxes.shape[1]
            pred_boxes, gt_boxes = matched.pred_boxes, matched.gt_boxes
            losses['loss_bbox'] = self.losses['bbox'](pred_boxes, gt_boxes, avg_factor=num_boxes)
            losses['loss_giou'] = self.losses['giou'](
                bbox_cxcywh_to_xyxy(pred_boxes),
                bbox_cxcywh_to_xyxy(gt_boxes),
                avg_factor=num_boxes,
            )
        # PARITY(SeqFormer, IFC): the padded area counts in both mask losses, and an instance has
        # one dice coefficient over all of its frames.
        pred_masks, gt_masks = (
            torch.cat([masks.flatten(1) for masks in clips])
            for clips in (matched.pred_masks, matched.gt_masks)
        )
        losses['loss_mask'] = self.losses['mask'](pred_masks, gt_masks, avg_factor=num_instances)
        losses['loss_dice'] = self.losses['dice'](pred_masks, gt_masks, avg_factor=num_instances)
        return losses

    def class_loss(
        self, cls_scores: torch.Tensor, labels: torch.Tensor, num_instances: torch.Tensor
    ) -> torch.Tensor:
        """Returns the loss of the classes of all queries.

        Args:
            cls_scores: [B, Q, K] logits, or [B, Q, K + 1] where the last is no object.
            labels: [B, Q], K where a query has no instance.
            num_instances: instances of the batch, averaged over all processes.
        """
        return self.losses['ce'](
            cls_scores.flatten(0, 1), labels.flatten(), avg_factor=num_instances
        )


def check_assigner(assigner: TubeHungarianAssigner, predicts: frozenset[str], head: str) -> None:
    """Checks that a head predicts what its assigner compares.

    Raises:
        InputError: it does not, or the assigner is of another kind.
    """
    if not isinstance(assigner, TubeHungarianAssigner):
        raise InputError(
            f'assigner: must be a TubeHungarianAssigner, but is a {type(assigner).__name__}'
        )
    missing = sorted(assigner.compares - predicts)
    if missing:
        raise InputError(
            f'assigner.costs: must compare what {head} predicts ({", ".join(sorted(predicts))}), '
            f'but one compares {" and ".join(missing)}'
        )


def name_layer_losses(layers: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Names the losses of all decoder layers: plain names in the last, ``<name>_<layer>`` before.

    Example:
        >>> sorted(name_layer_losses([dict(loss_ce=torch.ones(())), dict(loss_ce=torch.ones(()))]))
        ['loss_ce', 'loss_ce_0']
    """
    named = {
        f'{name}_{number}': value
        for number, losses in enumerate(layers[:-1])
        for name, value in losses.items()
    }
    return {**named, **layers[-1]}
