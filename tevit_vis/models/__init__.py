"""Network modules, registered in mmdet's registries."""

from . import assigners, backbones, detectors, heads, losses, necks

__all__ = ['assigners', 'backbones', 'detectors', 'heads', 'losses', 'necks']
