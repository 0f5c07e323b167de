"""Focal loss of masks."""

from __future__ import annotations

import torch
from mmdet.models.builder import LOSSES
from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss
from torch import nn


@LOSSES.register_module()
class MaskFocalLoss(nn.Module):
    """mmdet's focal loss for masks; mmdet's own ``FocalLoss`` takes class labels only.

    Args:
        gamma, alpha: of Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
        loss_weight: the loss is multiplied by it.

    Example:
        >>> loss = MaskFocalLoss()(torch.zeros(2, 6), torch.ones(2, 6), avg_factor=2)
        >>> round(loss.item(), 4)
        0.0433
    """

    def __init__(self, gamma: float = 2.0, alpha: float = 0.25, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.gamma, self.alpha, self.loss_weight = gamma, alpha, loss_weight

    def forward(
        self, logits: torch.Tensor, masks: torch.Tensor, avg_factor: float | torch.Tensor
    ) -> torch.Tensor:
        """Returns the sum over masks of their mean over cells, divided by ``avg_factor``.

        Args:
            logits: [N, ...].
            masks: of the same shape, 0 to 1.
        """
        cells = max(1, logits[:1].numel())
        loss = py_sigmoid_focal_loss(
            logits, masks, gamma=self.gamma, alpha=self.alpha, reduction='none'
        )
        return self.loss_weight * loss.sum() / cells / avg_factor
