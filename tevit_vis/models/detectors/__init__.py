"""Detectors: wiring of backbone, neck and heads behind one contract."""

from .clip_detector import ClipDetector
from .ifc import IFC
from .mask2former import Mask2FormerVIS
from .seqformer import SeqFormer
from .tevit import TeViT

__all__ = ['IFC', 'ClipDetector', 'Mask2FormerVIS', 'SeqFormer', 'TeViT']
