"""Registries of this library; all others are mmcv's and mmdet's."""

from mmcv.utils import Registry

TRACKERS = Registry('tracker')
