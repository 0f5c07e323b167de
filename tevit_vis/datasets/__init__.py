"""Data sets of videos, registered in mmdet's registries."""

import tevit_vis.utils.training_stack  # noqa: F401  (says what is missing)
from tevit_vis.annotated_videos import Video

from .coco_clips import CocoClipDataset
from .coco_images import CocoImageDataset
from .frames import Frame, FramePipeline
from .joint import JointDataset, ResampledDataset, build_dataset
from .loader import SeededIndex, TrainClip, build_train_loader
from .pipelines import ResizeShortSide
from .ytvis import YouTubeVISDataset

__all__ = [
    'CocoClipDataset',
    'CocoImageDataset',
    'SeededIndex',
    'Frame',
    'FramePipeline',
    'JointDataset',
    'ResampledDataset',
    'ResizeShortSide',
    'TrainClip',
    'Video',
    'YouTubeVISDataset',
    'build_dataset',
    'build_train_loader',
]
