"""Writes synthetic videos as a data set in YouTube-VIS layout."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tevit_vis.rle import encode_masks, mask_areas, mask_boxes
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.json_files import write_json

from .synthetic_world import SyntheticWorld

JPEG_QUALITY = 92


def make_synthetic(
    folder: Path, num_videos: int, seed: int, world: SyntheticWorld
) -> tuple[Path, Path]:
    """Writes a data set in YouTube-VIS layout.

    Args:
        folder: gets ``annotations.json`` and ``JPEGImages/<video>/00000.jpg`` and so on.
        num_videos: number of videos. Each has its own seed, so that the first videos of a
            larger set are those of a smaller one.
        seed: of the data set.
        world: draws the videos.

    Returns:
        The annotation file and the image folder.
    """
    images = folder / 'JPEGImages'
    path = folder / 'annotations.json'
    path.unlink(missing_ok=True)  # that of an older set does not fit the new images
    videos: list[dict] = []
    annotations: list[dict] = []
    for index in range(num_videos):
        video = world.video([seed, index])
        name = f'{index:05d}'
        (images / name).mkdir(parents=True, exist_ok=True)
        file_names = [f'{name}/{t:05d}.jpg' for t in range(len(video.frames))]
        for file_name, frame in zip(file_names, video.frames):
            options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            if not cv2.imwrite(str(images / file_name), frame, options):
                raise InputError(f'{images / file_name}: cannot be written: is the disk full?')
        height, width = video.frames.shape[1:3]
        video_entry = dict(id=index + 1, width=width, height=height, length=len(file_names))
        videos.append({**video_entry, 'file_names': file_names})
        for category, masks in zip(video.categories, video.masks):
            if masks.any():
                entry = instance_entry(masks)
                ids = dict(id=len(annotations) + 1, video_id=index + 1, category_id=category + 1)
                annotations.append({**ids, **entry})
    categories = [dict(id=i, name=name) for i, name in enumerate(world.class_names, start=1)]
    content = dict(categories=categories, videos=videos, annotations=annotations)
    write_json(content, path)
    return path, images


def instance_entry(masks: np.ndarray) -> dict:
    """Returns the entries of an annotation that describe its masks [T, H, W] (bool).

    Frames without any pixel have null.

    Example:
        >>> masks = np.zeros((2, 4, 6), bool)
        >>> masks[1, :2, :3] = True
        >>> entry = instance_entry(masks)
        >>> entry['areas'], entry['bboxes']
        ([None, 6], [None, [0.0, 0.0, 3.0, 2.0]])
    """
    rles = encode_masks(masks)
    areas = mask_areas(rles)
    segmentations: list[RLE | None] = [rle if area else None for rle, area in zip(rles, areas)]
    boxes = mask_boxes(rles)
    return dict(
        iscrowd=0,
        height=masks.shape[1],
        width=masks.shape[2],
        length=len(masks),
        segmentations=segmentations,
        bboxes=[box.tolist() if rle else None for rle, box in zip(segmentations, boxes)],
        areas=[int(area) if area else None for area in areas],
    )
