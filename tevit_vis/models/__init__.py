"""Network modules, registered in mmdet's registries."""

import tevit_vis.utils.training_stack  # noqa: F401  (says what is missing)

from . import assigners, backbones, detectors, heads, losses, necks

__all__ = ['assigners', 'backbones', 'detectors', 'heads', 'losses', 'necks']
