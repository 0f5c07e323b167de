"""Losses that mmdet lacks."""

from .adversarial_loss import AdversarialLoss
from .mask_focal_loss import MaskFocalLoss

__all__ = ['AdversarialLoss', 'MaskFocalLoss']
