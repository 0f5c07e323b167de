"""Network modules, registered in mmdet's registries."""

from . import backbones, detectors, heads

__all__ = ['backbones', 'detectors', 'heads']
