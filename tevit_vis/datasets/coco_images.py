"""COCO's images as videos of one frame."""

from __future__ import annotations

from typing import Any

from mmdet.datasets import DATASETS

from tevit_vis.annotated_images import images_as_videos
from tevit_vis.annotations import read_annotation_file

from .ytvis import YouTubeVISDataset


@DATASETS.register_module()
class CocoImageDataset(YouTubeVISDataset):
    """A data set in COCO's layout for clip detectors: every image is a video of one frame.

    Args are those of ``YouTubeVISDataset``.
    """

    def read_content(self) -> dict[str, Any]:
        """Returns the content of the file in YouTube-VIS layout."""
        return images_as_videos(read_annotation_file(self.ann_file), self.ann_file)
