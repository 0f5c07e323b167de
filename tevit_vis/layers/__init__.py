"""Network parts in pure torch and mmcv: no detector, no dataset."""

from . import attention, deform_attention, pixel_decoder, split_attention  # they register modules

__all__ = ['attention', 'deform_attention', 'pixel_decoder', 'split_attention']
