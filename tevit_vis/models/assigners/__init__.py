"""Matching of queries with ground truth."""

from .clip_assigner import IFCAssigner, SeqFormerAssigner
from .tube_assigner import TeViTHungarianAssigner

__all__ = ['IFCAssigner', 'SeqFormerAssigner', 'TeViTHungarianAssigner']
