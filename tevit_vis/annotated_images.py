"""Annotated images in COCO's layout, as videos of one frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tevit_vis.annotations import annotation_entries
from tevit_vis.utils.errors import InputError

# A key of COCO's annotations, and the key of the list that has one entry per frame.
PER_FRAME_KEYS = {'segmentation': 'segmentations', 'bbox': 'bboxes', 'area': 'areas'}


def images_as_videos(content: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Returns the content of a COCO file in YouTube-VIS layout; ids stay as they are.

    Raises:
        InputError: the file has no images, or an entry breaks the layout.

    Example:
        >>> content = {'images': [{'id': 1, 'file_name': 'a.jpg'}]}
        >>> images_as_videos(content, 'a.json')['videos'][0]['file_names']
        ['a.jpg']
    """
    images = content.get('images')
    if not isinstance(images, list) or not images:
        raise InputError(f'{path}: COCO JSON must have "images", but has none')
    videos = []
    for index, image in enumerate(images):
        where = f'{path}: images[{index}]'
        if not isinstance(image, dict) or not isinstance(image.get('file_name'), str):
            raise InputError(f'{where}: "file_name" must be a text')
        _check_ids(image, ('id',), where)
        videos.append({**image, 'file_names': [image['file_name']], 'length': 1})
    annotations = []
    for index, entry in enumerate(annotation_entries(content, path)):
        where = f'{path}: annotations[{index}]'
        _check_ids(entry, ('image_id', 'category_id'), where)
        track_entry = {key: value for key, value in entry.items() if key not in PER_FRAME_KEYS}
        track_entry['video_id'] = entry['image_id']
        for key, list_key in PER_FRAME_KEYS.items():
            if entry.get(key) is not None:
                track_entry[list_key] = [entry[key]]
        annotations.append(track_entry)
    return {**content, 'videos': videos, 'annotations': annotations}


def _check_ids(entry: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in names:
        value = entry.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(f'{where}: "{name}" must be a whole number, but got {value!r}')
