"""Matching of queries with the instances of a clip."""

from .tube_assigner import TubeHungarianAssigner
from .tube_costs import ClipBoxL2Cost, ClipGIoUCost, PresentFramesCost

__all__ = ['ClipBoxL2Cost', 'ClipGIoUCost', 'PresentFramesCost', 'TubeHungarianAssigner']
