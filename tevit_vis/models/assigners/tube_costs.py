"""Costs of matching a query with an instance in all frames of a clip.

Costs are built from mmdet's MATCH_COST registry. mmdet's own costs compare two tensors, and
``cost_of`` passes each of them the tensors that it compares. A cost that needs more is a
``TubeCost``: it gets the whole prediction and the whole ground truth of the clip.

Letters: T frames, Q queries, K classes, N instances of the clip, h and w cells of a mask.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from mmdet.core import bbox_cxcywh_to_xyxy, bbox_overlaps
from mmdet.core.bbox.match_costs import build_match_cost
from mmdet.core.bbox.match_costs.builder import MATCH_COST
from mmdet.core.bbox.match_costs.match_cost import (
    BBoxL1Cost,
    ClassificationCost,
    CrossEntropyLossCost,
    DiceCost,
    FocalLossCost,
    IoUCost,
)

from tevit_vis.ground_truth import GtTubes
from tevit_vis.utils.errors import InputError


class PredTubes(NamedTuple):
    """The predictions of a layer for the queries of one clip that costs may compare."""

    cls_scores: torch.Tensor  # [F, Q, K] logits; F is T if each frame is classified, otherwise 1
    boxes: torch.Tensor | None = None  # [T, Q, 4] centre x y, width, height, relative to the image
    masks: torch.Tensor | None = None  # [Q, T, h, w] logits

    def frame(self, index: int) -> PredTubes:
        """Returns the prediction for one frame."""
        frame = slice(index, index + 1)
        return PredTubes(
            self.cls_scores if len(self.cls_scores) == 1 else self.cls_scores[frame],
            None if self.boxes is None else self.boxes[frame],
            None if self.masks is None else self.masks[:, frame],
        )

    def float(self) -> PredTubes:
        """Returns the prediction in fp32."""
        return PredTubes(
            self.cls_scores.float(),
            None if self.boxes is None else self.boxes.float(),
            None if self.masks is None else self.masks.float(),
        )


class TubeCost(ABC):
    """The base class of costs that compare whole tubes: an instance in all frames of a clip."""

    compares: frozenset[str]  # of 'classes', 'boxes' and 'masks'

    @abstractmethod
    def __call__(self, pred: PredTubes, gt: GtTubes) -> torch.Tensor:
        """Returns the cost [Q, N] of matching each query with each instance."""


@MATCH_COST.register_module()
class PresentFramesCost(TubeCost):
    """The mean of other costs over the frames in which an instance is present.

    TeViT, section 3.4: frames in which an instance is absent do not change its costs.

    Args:
        costs: configs of the costs, which are summed in each frame.
    """

    def __init__(self, costs: Sequence[dict]) -> None:
        self.costs = build_costs(costs)
        self.compares = compared_by_any(self.costs)

    def __call__(self, pred: PredTubes, gt: GtTubes) -> torch.Tensor:
        total = gt.relative_boxes.new_zeros(pred.cls_scores.shape[1], len(gt))
        for t, present in enumerate(gt.present):
            frame_cost = sum_of_costs(self.costs, pred.frame(t), gt.frame(t))
            total = total + frame_cost.where(present, frame_cost.new_zeros(()))
        return total / gt.present.sum(0)


@MATCH_COST.register_module()
class ClipBoxL2Cost(TubeCost):
    """The Euclidean distance between the boxes of a query and of an instance in all frames.

    PARITY(SeqFormer): one distance of T * 4 numbers, not an L1 distance and not one per frame.
    Frames in which an instance is absent count, with the box of ``GtTubes.relative_boxes``.

    Args:
        weight: factor of the cost.
    """

    compares = frozenset({'boxes'})

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def __call__(self, pred: PredTubes, gt: GtTubes) -> torch.Tensor:
        assert pred.boxes is not None
        pred_boxes, gt_boxes = (
            boxes.transpose(0, 1).flatten(1) for boxes in (pred.boxes, gt.relative_boxes)
        )
        return self.weight * torch.cdist(pred_boxes, gt_boxes)


@MATCH_COST.register_module()
class ClipGIoUCost(TubeCost):
    """The negative GIoU of boxes, averaged over all frames of the clip.

    PARITY(SeqFormer): frames in which an instance is absent count. Its box there is smaller than
    the fixed ``eps`` of mmdet's ``IoUCost``, so this cost has an ``eps`` of its own.

    Args:
        weight: factor of the cost.
        eps: the least area of a union, relative to the image.
    """

    compares = frozenset({'boxes'})

    def __init__(self, weight: float = 1.0, eps: float = 1e-12) -> None:
        self.weight = weight
        self.eps = eps

    def __call__(self, pred: PredTubes, gt: GtTubes) -> torch.Tensor:
        overlaps = bbox_overlaps(
            bbox_cxcywh_to_xyxy(pred.boxes),
            bbox_cxcywh_to_xyxy(gt.relative_boxes),
            mode='giou',
            eps=self.eps,
        )
        return -self.weight * overlaps.mean(0)


def compared_by(cost: Callable) -> frozenset[str]:
    """Returns what a cost compares, of 'classes', 'boxes' and 'masks'; nothing if it is unknown.

    Example:
        >>> compared_by(ClipBoxL2Cost())
        frozenset({'boxes'})
    """
    if isinstance(cost, TubeCost):
        return cost.compares
    if isinstance(cost, (DiceCost, CrossEntropyLossCost)) or getattr(cost, 'binary_input', False):
        return frozenset({'masks'})
    if isinstance(cost, (FocalLossCost, ClassificationCost)):
        return frozenset({'classes'})
    return frozenset({'boxes'} if isinstance(cost, (BBoxL1Cost, IoUCost)) else ())


def compared_by_any(costs: Sequence[Callable]) -> frozenset[str]:
    """Returns what at least one of several costs compares."""
    return frozenset().union(*map(compared_by, costs))


def build_costs(configs: Sequence[dict]) -> list[Callable]:
    """Builds the costs of a list of configs.

    Raises:
        InputError: there is none, or one of them is not a cost of tubes.
    """
    if isinstance(configs, Mapping) or not configs:
        raise InputError(f'costs: must be a list of at least one cost, but got {configs!r}')
    costs = [build_match_cost(config) for config in configs]
    for cost in costs:
        if not compared_by(cost):
            raise InputError(
                f"costs: {type(cost).__name__} must be a TubeCost or one of mmdet's costs of "
                'classes, boxes or masks (models/assigners/tube_costs.py)'
            )
    return costs


def sum_of_costs(costs: Sequence[Callable], pred: PredTubes, gt: GtTubes) -> torch.Tensor:
    """Returns the sum [Q, N] of several costs, added in their order."""
    total = cost_of(costs[0], pred, gt)
    for cost in costs[1:]:
        total = total + cost_of(cost, pred, gt)
    return total


def cost_of(cost: Callable, pred: PredTubes, gt: GtTubes) -> torch.Tensor:
    """Returns one cost [Q, N] of matching each query with each instance.

    Classes are compared once for the clip. Boxes are compared frame by frame, and the mean over
    the frames counts. Masks are compared as one mask that covers all frames.
    """
    if isinstance(cost, TubeCost):
        return cost(pred, gt)
    if compared_by(cost) == {'masks'}:
        return cost(pred.masks, gt.masks)
    if compared_by(cost) == {'classes'}:
        return cost(pred.cls_scores.mean(0), gt.labels)
    gt_boxes = bbox_cxcywh_to_xyxy(gt.relative_boxes)
    if isinstance(cost, BBoxL1Cost):
        return cost(pred.boxes, gt_boxes).mean(0)  # it takes centres and corners
    # Larger boxes have the same IoU, and mmdet's least area of a union, 1e-6, is far below a pixel.
    scaled = bbox_cxcywh_to_xyxy(pred.boxes) * 1024
    return cost(scaled, gt_boxes * 1024).mean(0)
