"""Network parts in pure torch and mmcv: no detector, no dataset."""

from . import deform_attention, split_attention  # importing registers their modules

__all__ = ['deform_attention', 'split_attention']
