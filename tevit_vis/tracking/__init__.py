"""Windows over a video, and their instances joined to tracks."""

from .stitcher import Stitcher
from .windows import Windows, cut_windows, windows_of

__all__ = ['Stitcher', 'Windows', 'cut_windows', 'windows_of']
