"""Windows over a video, and their instances joined to tracks."""

from .stitcher import Stitcher
from .windows import Windows, window_ranges, windows_of

__all__ = ['Stitcher', 'Windows', 'window_ranges', 'windows_of']
