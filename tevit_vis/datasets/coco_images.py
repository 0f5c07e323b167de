"""COCO's images as videos of one frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmdet.datasets import DATASETS

from tevit_vis.annotations import read_annotation_file
from tevit_vis.utils.errors import InputError

from .ytvis import YouTubeVISDataset


@DATASETS.register_module()
class CocoImageDataset(YouTubeVISDataset):
    """A data set in COCO's layout for clip detectors: every image is a video of one frame.

    Args are those of ``YouTubeVISDataset``.
    """

    def read_content(self) -> dict[str, Any]:
        """The file in YouTube-VIS layout."""
        return images_as_videos(read_annotation_file(self.ann_file), self.ann_file)


def images_as_videos(content: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The content of a COCO file in YouTube-VIS layout; ids stay as they are.

    Raises:
        InputError: it has no images, or one without a file name.
    """
    images = content.get('images')
    if not isinstance(images, list) or not images:
        raise InputError(f'{path}: COCO JSON must have "images", but has none')
    videos = []
    for index, image in enumerate(images):
        if not isinstance(image, dict) or not isinstance(image.get('file_name'), str):
            raise InputError(f'{path}: images[{index}]: "file_name" must be a text')
        videos.append({**image, 'file_names': [image['file_name']], 'length': 1})
    annotations = []
    for entry in content.get('annotations') or ():
        video = {key: value for key, value in entry.items() if key not in PER_IMAGE}
        video['video_id'] = entry.get('image_id')
        for key, name in PER_IMAGE.items():
            if entry.get(key) is not None:
                video[name] = [entry[key]]
        annotations.append(video)
    return {**content, 'videos': videos, 'annotations': annotations}


PER_IMAGE = {'segmentation': 'segmentations', 'bbox': 'bboxes', 'area': 'areas'}
