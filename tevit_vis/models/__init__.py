"""Network modules, registered in mmdet's registries."""

from . import assigners, backbones, detectors, heads

__all__ = ['assigners', 'backbones', 'detectors', 'heads']
