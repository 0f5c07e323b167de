"""COCO's images as pseudo clips: an image and random views of it.

Wu et al., "SeqFormer", ECCV 2022, section 4.2.

Letters: T frames, G instances, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from mmdet.datasets import DATASETS
from mmdet.utils import get_root_logger

from tevit_vis.annotated_images import images_as_videos
from tevit_vis.annotated_instances import AnnotatedFrame
from tevit_vis.annotated_videos import file_categories
from tevit_vis.annotations import read_annotation_file
from tevit_vis.rle import decode_rle, encode_masks, mask_boxes
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.seeds import seeded
from tevit_vis.utils.values import check_whole_number

from .categories import category_table
from .coco_to_ytvis import CATEGORY_MAPS
from .frames import TrainFrame
from .loader import SeededIndex, TrainClip
from .ytvis import YouTubeVISDataset

ROTATION = 20.0  # degrees, either way
SHIFT = 0.1  # at most, as a part of width and height
PERSPECTIVE = 0.08  # how far corners move: standard deviation, as a part of width and height
HUE, BRIGHTNESS = 5, 40  # largest shift either way, of 255; saturation shifts as hue does
BLUR_PROBABILITY, BLUR_SIZES = 0.25, (9, 11)  # of a view; lengths in pixels


@DATASETS.register_module()
class CocoClipDataset(YouTubeVISDataset):
    """A data set in COCO's layout as training clips of random views of one image.

    Args:
        ann_file: the JSON file.
        img_prefix: folder that file names are relative to.
        pipeline: mmdet transforms of one frame; they draw the same random numbers for all frames
            of a clip.
        categories: name of the public table that defines the labels (``datasets/categories.py``).
        category_map: name of a map from COCO's classes, one of ``CATEGORY_MAPS``; instances of
            other classes are left out.
        max_instances: images with more instances, or with none, are left out.
        clip_length: frames of a training clip.

    Raises:
        InputError: the file, the map or the table cannot be used.
    """

    def __init__(
        self,
        ann_file: str,
        img_prefix: str,
        pipeline: list[dict],
        categories: str,
        category_map: str = 'ytvis2019',
        max_instances: int = 25,
        clip_length: int = 5,
    ) -> None:
        if category_map not in CATEGORY_MAPS:
            raise InputError(
                f'CocoClipDataset: category_map must be one of {", ".join(CATEGORY_MAPS)}, '
                f'but got {category_map!r}'
            )
        self.target_table = category_table(categories)
        self.category_map = CATEGORY_MAPS[category_map]
        self.max_instances = check_whole_number(
            'CocoClipDataset: max_instances', max_instances, least=1
        )
        super().__init__(ann_file, img_prefix, pipeline, categories, clip_length)

    def read_content(self) -> dict[str, Any]:
        """Returns the images to use and their instances in YouTube-VIS layout, with the categories
        of the target table.
        """
        content = read_annotation_file(self.ann_file)
        return select_images(
            content, self.ann_file, self.category_map, self.target_table, self.max_instances
        )

    def load_clip(self, item: SeededIndex) -> TrainClip:
        """Returns a clip of an image and random views of it; the image has a random position."""
        video_index = int(np.searchsorted(self.first_item, item.index, side='right')) - 1
        video = self.videos[video_index]
        image = self.pipeline.read(self.frame_path(video, 0))
        self._check_size(image['img'].shape, video, 0, self.frame_path(video, 0))
        size = (video.height, video.width)
        instances = self.instances.of_frame(int(self.first_frame[video_index]), size)
        instances = select_instances(instances, ~instances.crowd)
        rng = np.random.default_rng(item.seed)
        image_position = int(rng.integers(self.clip_length))  # in the clip
        frames = []
        for position in range(self.clip_length):
            pixels, view_instances = image['img'], instances
            if position != image_position:
                pixels, view_instances = random_view(pixels, instances, rng)
            frames.append(self._train_frame(image, pixels, view_instances, item.seed))
        return TrainClip.from_frames(frames)

    def _train_frame(
        self, image: dict, pixels: np.ndarray, instances: AnnotatedFrame, seed: int
    ) -> TrainFrame:
        with seeded(seed):  # all frames draw the same random numbers
            return self.pipeline.train_frame(dict(image, img=pixels), instances)


def select_images(
    content: Mapping[str, Any],
    path: str,
    category_map: Mapping[str, str],
    target_table: Mapping[int, str],
    max_instances: int,
) -> dict[str, Any]:
    """Selects the images of a COCO file with 1 to ``max_instances`` instances of mapped classes.

    How many images and annotations are left out is logged.

    Args:
        content: of the COCO file.
        path: names the file in errors.
        category_map: {name of a COCO class: name of a class of the target table}.
        target_table: {category id: name}.
        max_instances: of an image; crowds are not counted.

    Returns:
        The selected images and their instances in YouTube-VIS layout, with the categories of the
        target table.

    Raises:
        InputError: the map leads to a class that the table lacks, or no image is left.
    """
    target_id_of = {name: category for category, name in target_table.items()}
    unknown_classes = [name for name in category_map.values() if name not in target_id_of]
    if unknown_classes:
        raise InputError(
            f'CocoClipDataset: category_map must lead to classes of its categories, '
            f'but {unknown_classes[0]} is none'
        )
    coco_names = file_categories(content, path)
    new_id_of = {
        number: target_id_of[category_map[coco_names[number]]]
        for number in coco_names
        if coco_names[number] in category_map
    }
    as_videos = images_as_videos(content, path)
    mapped_entries = [
        {**entry, 'category_id': new_id_of[entry['category_id']]}
        for entry in as_videos['annotations']
        if entry.get('category_id') in new_id_of
    ]
    counts: dict[Any, int] = {}
    for entry in mapped_entries:
        if not entry.get('iscrowd'):
            counts[entry['video_id']] = counts.get(entry['video_id'], 0) + 1
    videos = [
        video for video in as_videos['videos'] if 1 <= counts.get(video['id'], 0) <= max_instances
    ]
    kept_ids = {video['id'] for video in videos}
    num_too_full = sum(count > max_instances for count in counts.values())
    num_images, num_entries = len(as_videos['videos']), len(as_videos['annotations'])
    get_root_logger().info(
        '%s: %d of %d images are left (%d have no instance of the mapped classes, %d more than '
        '%d); %d of %d annotations are of %d classes that the map does not have',
        *(
            path,
            len(videos),
            num_images,
            num_images - len(videos) - num_too_full,
            num_too_full,
            max_instances,
        ),
        *(num_entries - len(mapped_entries), num_entries, len(coco_names) - len(new_id_of)),
    )
    if not videos:
        raise InputError(
            f'{path}: must have images with 1 to {max_instances} instances of mapped classes, '
            'but has none'
        )
    categories = [{'id': number, 'name': name} for number, name in target_table.items()]
    return {
        **content,
        'videos': videos,
        'annotations': [entry for entry in mapped_entries if entry['video_id'] in kept_ids],
        'categories': categories,
    }


def random_view(
    image: np.ndarray, instances: AnnotatedFrame, rng: np.random.Generator
) -> tuple[np.ndarray, AnnotatedFrame]:
    """Rotates, shifts, tilts, recolours and perhaps blurs an image.

    Args:
        image: [H, W, 3] uint8, BGR.
        instances: of the image.

    Returns:
        The view, of the size of the image, and the instances that are visible in it.
    """
    height, width = image.shape[:2]
    matrix = random_homography(width, height, rng)
    view = cv2.warpPerspective(image, matrix, (width, height))
    view = random_colours(view, rng)
    if rng.random() < BLUR_PROBABILITY:
        view = motion_blur(view, int(rng.choice(BLUR_SIZES)), rng.uniform(0, 360))
    masks = [
        cv2.warpPerspective(
            decode_rle(mask).astype(np.uint8), matrix, (width, height), flags=cv2.INTER_NEAREST
        )
        for mask in instances.masks
    ]
    stacked = np.array(masks, bool).reshape(-1, height, width)
    rles = encode_masks(torch.from_numpy(stacked))
    corners = mask_boxes(rles).astype(np.float32)
    corners[:, 2:] += corners[:, :2]  # x y width height -> x1 y1 x2 y2
    view_instances = replace(instances, boxes=corners, masks=rles)
    return view, select_instances(view_instances, stacked.any(axis=(1, 2)))


def select_instances(instances: AnnotatedFrame, is_kept: np.ndarray) -> AnnotatedFrame:
    """Returns the instances for which ``is_kept`` [G] (bool) is True."""
    return AnnotatedFrame(
        boxes=instances.boxes[is_kept],
        labels=instances.labels[is_kept],
        ids=instances.ids[is_kept],
        masks=[mask for mask, keep in zip(instances.masks, is_kept) if keep],
        crowd=instances.crowd[is_kept],
    )


def random_homography(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Returns the matrix [3, 3] of a rotation about the centre, a shift, and a tilt that moves
    points near the corners outwards.
    """
    centre = (width - 1) / 2, (height - 1) / 2
    motion = np.eye(3)
    motion[:2] = cv2.getRotationMatrix2D(centre, rng.uniform(-ROTATION, ROTATION), 1.0)
    motion[:2, 2] += rng.uniform(-SHIFT, SHIFT, 2) * (width, height)
    corners = np.float32([[0, 0], [1, 0], [1, 1], [0, 1]])
    inwards = np.minimum(np.abs(rng.normal(0, PERSPECTIVE, (4, 2))), 0.4) * (1 - 2 * corners)
    size = np.float32([width - 1, height - 1])
    tilt = cv2.getPerspectiveTransform(
        ((corners + inwards) * size).astype(np.float32), corners * size
    )
    return tilt @ motion


def random_colours(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shifts hue and saturation of an image by up to 5 of 255, and brightness by up to 40."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL).astype(np.int16)
    hue, saturation = rng.integers(-HUE, HUE + 1, 2)
    hsv[..., 0] = (hsv[..., 0] + hue) % 256
    hsv[..., 1] += saturation
    hsv[..., 2] += rng.integers(-BRIGHTNESS, BRIGHTNESS + 1)
    return cv2.cvtColor(hsv.clip(0, 255).astype(np.uint8), cv2.COLOR_HSV2BGR_FULL)


def motion_blur(image: np.ndarray, size: int, angle: float) -> np.ndarray:
    """Blurs an image along a line of ``size`` pixels at ``angle`` degrees.

    Example:
        >>> image = np.zeros((3, 5, 3), np.uint8)
        >>> image[1, 2] = 90
        >>> motion_blur(image, size=3, angle=0)[1, :, 0].tolist()
        [0, 30, 30, 30, 0]
    """
    line = np.zeros((size, size), np.float32)
    line[size // 2] = 1
    turn = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), angle, 1.0)
    kernel = cv2.warpAffine(line, turn, (size, size))
    return cv2.filter2D(image, -1, kernel / kernel.sum())
