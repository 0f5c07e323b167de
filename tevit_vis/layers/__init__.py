"""Network parts in pure torch and mmcv: no detector, no dataset."""

import tevit_vis.utils.training_stack  # noqa: F401  (says what is missing)

from . import attention, deform_attention, pixel_decoder, split_attention  # they register modules

__all__ = ['attention', 'deform_attention', 'pixel_decoder', 'split_attention']
