"""Backbones that mmdet lacks."""

from .msgshift import MsgShifT
from .temporal import TemporalBackbone

__all__ = ['MsgShifT', 'TemporalBackbone']
