"""Windows over a video, and their instances joined to tracks."""

from .stitcher import Stitcher, join_frames
from .windows import Windows, cut_windows, windows_of

__all__ = ['Stitcher', 'Windows', 'cut_windows', 'join_frames', 'windows_of']
