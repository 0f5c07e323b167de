"""Heads that turn frame features into clip predictions."""

from .stqi_head import STQIHead
from .tevit_roi_head import TeViTRoIHead

__all__ = ['STQIHead', 'TeViTRoIHead']
