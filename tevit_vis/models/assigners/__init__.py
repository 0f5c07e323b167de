"""Matching of queries with ground truth."""

from .clip_assigner import SeqFormerAssigner
from .tube_assigner import TeViTHungarianAssigner

__all__ = ['SeqFormerAssigner', 'TeViTHungarianAssigner']
