"""Detectors: wiring of backbone, neck and heads behind one contract."""

from .clip_detector import ClipDetector
from .seqformer import SeqFormer
from .tevit import TeViT

__all__ = ['ClipDetector', 'SeqFormer', 'TeViT']
