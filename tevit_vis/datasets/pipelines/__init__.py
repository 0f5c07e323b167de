"""Transforms that mmdet lacks."""

from .resize import ResizeShortSide

__all__ = ['ResizeShortSide']
