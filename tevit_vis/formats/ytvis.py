"""YouTube-VIS JSON: the form inside of this project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tevit_vis.annotated_videos import file_categories, parse_videos
from tevit_vis.annotations import (
    EntryWarning,
    annotation_entries,
    check_annotation,
    parse_segmentations,
)
from tevit_vis.rle import mask_areas, mask_boxes
from tevit_vis.utils.json_files import write_json

from .base import ConversionLog, Format, ReadOptions, register
from .json_input import json_keys, read_content


class YouTubeVIS(Format):
    """Reads and writes YouTube-VIS JSON; what the other formats write is what this one reads."""

    name = 'ytvis'
    title = 'YouTube-VIS JSON'

    def recognises(self, path: str) -> bool:
        """Whether it is a JSON file with videos and no images."""
        keys = json_keys(path)
        return 'videos' in keys and 'images' not in keys and 'masklet' not in keys

    def read(self, path: str, options: ReadOptions) -> dict[str, Any]:
        """Returns the content of a file, with all masks as compressed RLE.

        Raises:
            InputError: an entry breaks a rule.
        """
        content = read_content(path)
        videos = {video.id: video for video in parse_videos(content, path)}
        names = file_categories(content, path)
        used_ids: set = set()
        notes: list[EntryWarning] = []
        annotations = []
        for index, entry in enumerate(annotation_entries(content, path)):
            where = f'{path}: annotations[{index}]'
            check_annotation(entry, where, videos, names, used_ids)
            video = videos[entry['video_id']]
            masks = parse_segmentations(entry, video, where, notes)
            annotations.append({**with_shapes(entry, masks), 'id': entry.get('id', index + 1)})
        for note in notes:
            options.log.drop(note.what, note.where)
        return {
            **content,
            'categories': [{'id': key, 'name': name} for key, name in names.items()],
            'annotations': annotations,
        }

    def write(self, content: Mapping[str, Any], path: str, log: ConversionLog) -> None:
        """Writes the file."""
        write_json(content, path)


def with_shapes(entry: Mapping[str, Any], masks: list) -> dict[str, Any]:
    """Returns an annotation with masks, and with the areas and boxes of these where it has none."""
    present = [mask is not None for mask in masks]
    areas, boxes = mask_areas(masks).tolist(), mask_boxes(masks).tolist()
    return {
        'areas': [area if there else None for area, there in zip(areas, present)],
        'bboxes': [box if there else None for box, there in zip(boxes, present)],
        'iscrowd': 0,
        **entry,
        'segmentations': masks,
    }


register(YouTubeVIS())
