"""Detectors: wiring of backbone, neck and heads behind one contract."""

from .clip_detector import ClipDetector
from .ifc import IFC
from .seqformer import SeqFormer
from .tevit import TeViT

__all__ = ['IFC', 'ClipDetector', 'SeqFormer', 'TeViT']
