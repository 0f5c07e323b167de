"""Windows over a video, and trackers that join their instances to tracks."""

from .association import align_queries
from .overlaps import OverlapFilter, drop_overlaps
from .query_linker import QueryLinker
from .soft_iou_stitcher import SoftIoUStitcher
from .tracker import Tracker, build_tracker, join_frames, whole_config
from .windows import (
    Windows,
    cut_windows,
    follow_windows,
    require_same_size,
    set_windows,
    windows_of,
)

__all__ = [
    'OverlapFilter',
    'QueryLinker',
    'SoftIoUStitcher',
    'Tracker',
    'Windows',
    'align_queries',
    'build_tracker',
    'cut_windows',
    'drop_overlaps',
    'follow_windows',
    'join_frames',
    'require_same_size',
    'set_windows',
    'whole_config',
    'windows_of',
]
