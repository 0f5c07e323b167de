"""Data sets of videos, registered in mmdet's registries."""

from mmdet.datasets import build_dataset

from .frames import Frame, FramePipeline
from .ytvis import Video, YouTubeVISDataset

__all__ = ['Frame', 'FramePipeline', 'Video', 'YouTubeVISDataset', 'build_dataset']
