"""Windows over a video, and their instances joined to tracks."""

from .overlaps import OverlapFilter, drop_overlaps
from .stitcher import Stitcher, join_frames
from .windows import Windows, cut_windows, set_windows, streaming_windows, windows_of

__all__ = [
    'OverlapFilter',
    'Stitcher',
    'Windows',
    'cut_windows',
    'drop_overlaps',
    'join_frames',
    'set_windows',
    'streaming_windows',
    'windows_of',
]
