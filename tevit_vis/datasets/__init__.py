"""Data sets of videos, registered in mmdet's registries."""

from .frames import Frame, FramePipeline
from .ytvis import Video, YouTubeVISDataset

__all__ = ['Frame', 'FramePipeline', 'Video', 'YouTubeVISDataset']
