"""Matching of queries with ground truth."""

from .tube_assigner import TeViTHungarianAssigner

__all__ = ['TeViTHungarianAssigner']
