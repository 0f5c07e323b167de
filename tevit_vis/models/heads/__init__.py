"""Heads that turn frame features into clip predictions."""

from .ifc_head import IFCHead
from .mask2former_clip_head import Mask2FormerClipHead
from .mask2former_head import Mask2FormerVISHead
from .seqformer_head import SeqFormerHead
from .stqi_head import STQIHead
from .tevit_roi_head import TeViTRoIHead

__all__ = [
    'IFCHead',
    'Mask2FormerClipHead',
    'Mask2FormerVISHead',
    'STQIHead',
    'SeqFormerHead',
    'TeViTRoIHead',
]
