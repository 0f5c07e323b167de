"""The data that the parts of the library exchange, with its shapes checked once."""

from .checks import check_outputs_finite, check_shape
from .clips import ClipMasks, ClipPrediction
from .instances import RLE, FrameInstances, VideoInstances

__all__ = [
    'RLE',
    'ClipMasks',
    'ClipPrediction',
    'FrameInstances',
    'VideoInstances',
    'check_outputs_finite',
    'check_shape',
]
