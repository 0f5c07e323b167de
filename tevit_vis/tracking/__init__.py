"""Windows over a video, and their instances joined to tracks."""

from .stitcher import Stitcher, StitchRule
from .windows import window_ranges

__all__ = ['StitchRule', 'Stitcher', 'window_ranges']
