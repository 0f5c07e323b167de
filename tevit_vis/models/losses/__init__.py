"""Losses that mmdet lacks."""

from .mask_focal_loss import MaskFocalLoss

__all__ = ['MaskFocalLoss']
