"""Heads that turn frame features into clip predictions."""

from .seqformer_head import SeqFormerHead
from .stqi_head import STQIHead
from .tevit_roi_head import TeViTRoIHead

__all__ = ['STQIHead', 'SeqFormerHead', 'TeViTRoIHead']
