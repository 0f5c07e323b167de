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

from tevit_vis.annotated_videos import file_categories
from tevit_vis.annotations import read_annotation_file
from tevit_vis.rle import decode_rle, encode_masks, mask_boxes
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.seeds import seeded
from tevit_vis.utils.values import check_whole_number

from .categories import category_table
from .coco_images import images_as_videos
from .frames import TrainFrame
from .instances import AnnotatedFrame
from .loader import SeededIndex, TrainClip
from .ytvis import YouTubeVISDataset

YTVIS2019 = {
    'person': 'person',
    'bicycle': 'motorbike',
    'car': 'sedan',
    'motorcycle': 'motorbike',
    'airplane': 'airplane',
    'train': 'train',
    'truck': 'truck',
    'boat': 'boat',
    'cat': 'cat',
    'dog': 'dog',
    'horse': 'horse',
    'cow': 'cow',
    'elephant': 'elephant',
    'bear': 'bear',
    'zebra': 'zebra',
    'giraffe': 'giraffe',
    'snowboard': 'snowboard',
    'skateboard': 'skateboard',
    'surfboard': 'surfboard',
    'tennis racket': 'tennis_racket',
}
YTVIS2021 = {**YTVIS2019, 'car': 'car', 'bird': 'bird', 'frisbee': 'flying_disc'}
# What COCO's classes are called in a public data set. COCO's mouse belongs to a computer.
CATEGORY_MAPS = {
    'ytvis2019': YTVIS2019,
    'ytvis2021': YTVIS2021,
    # As SeqFormer's code has it, which takes the number of the animal in 2021 for that of 2019.
    'ytvis2019_official': {**YTVIS2019, 'mouse': 'fox'},
    'ytvis2021_official': {
        **{name: target for name, target in YTVIS2021.items() if name != 'frisbee'},
        'mouse': 'mouse',
    },
}

ROTATION = 20.0  # degrees, either way
SHIFT = 0.1  # of width and height
PERSPECTIVE = 0.08  # standard deviation of how far corners move inwards, of width and height
HUE, BRIGHTNESS = 5, 40  # steps of 255, either way; saturation like hue
BLUR_SHARE, BLUR_SIZES = 0.25, (9, 11)  # share of the views, pixels


@DATASETS.register_module()
class CocoClipDataset(YouTubeVISDataset):
    """A data set in COCO's layout as training clips of random views of one image.

    Args:
        ann_file: the JSON file.
        img_prefix: folder that file names are relative to.
        pipeline: mmdet transforms of one frame. Those of a clip's frames all draw alike.
        categories: name of the public table that labels are of.
        category_map: name of a map from COCO's classes, one of ``CATEGORY_MAPS``; instances of
            classes that it does not have are left out.
        max_instances: images with more are left out, as are images with none.
        clip_length: frames of a training clip.

    Raises:
        InputError: a file, a map or a table that cannot be used.
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
        """The kept images and instances in YouTube-VIS layout, categories of the target table."""
        content = read_annotation_file(self.ann_file)
        return select_images(
            content, self.ann_file, self.category_map, self.target_table, self.max_instances
        )

    def load_clip(self, draw: SeededIndex) -> TrainClip:
        """The image of an item and views of it, in random order."""
        place = int(np.searchsorted(self.first_key, draw.index, side='right')) - 1
        video = self.videos[place]
        image = self.pipeline.read(self.frame_path(video, 0))
        self._check_size(image['img'].shape, video, 0, self.frame_path(video, 0))
        size = (video.height, video.width)
        instances = self.instances.of_frame(int(self.first_frame[place]), size)
        instances = visible(instances, ~instances.crowd)
        rng = np.random.default_rng(draw.seed)
        original = int(rng.integers(self.clip_length))  # place of the image itself
        frames = []
        for number in range(self.clip_length):
            pixels, seen = image['img'], instances
            if number != original:
                pixels, seen = random_view(pixels, instances, rng)
            frames.append(self._transformed(image, pixels, seen, draw.seed))
        return TrainClip.of_frames(frames)

    def _transformed(
        self, image: dict, pixels: np.ndarray, instances: AnnotatedFrame, seed: int
    ) -> TrainFrame:
        with seeded(seed):  # every frame's transforms draw the same
            return self.pipeline.train_frame(dict(image, img=pixels), instances)


def select_images(
    content: Mapping[str, Any],
    path: str,
    category_map: Mapping[str, str],
    target_table: Mapping[int, str],
    max_instances: int,
) -> dict[str, Any]:
    """A COCO file's images with 1 to ``max_instances`` instances of mapped classes, and those, in
    YouTube-VIS layout.

    What is left out is counted and logged.

    Raises:
        InputError: a class that the table lacks, or no image is left.
    """
    ids = {name: category for category, name in target_table.items()}
    absent = [target for target in category_map.values() if target not in ids]
    if absent:
        raise InputError(
            f'CocoClipDataset: category_map must lead to classes of its categories, '
            f'but {absent[0]} is none'
        )
    own = file_categories(content, path)
    target = {
        number: ids[category_map[own[number]]] for number in own if own[number] in category_map
    }
    checked = images_as_videos(content, path)
    entries = [
        {**entry, 'category_id': target[entry['category_id']]}
        for entry in checked['annotations']
        if entry.get('category_id') in target
    ]
    counts: dict[Any, int] = {}
    for entry in entries:
        if not entry.get('iscrowd'):
            counts[entry['video_id']] = counts.get(entry['video_id'], 0) + 1
    videos = [
        video for video in checked['videos'] if 1 <= counts.get(video['id'], 0) <= max_instances
    ]
    kept = {video['id'] for video in videos}
    crowded = sum(count > max_instances for count in counts.values())
    total, all_entries = len(checked['videos']), len(checked['annotations'])
    get_root_logger().info(
        '%s: %d of %d images are left (%d have no instance of the mapped classes, %d more than '
        '%d); %d of %d annotations are of %d classes that the map does not have',
        *(path, len(videos), total, total - len(videos) - crowded, crowded, max_instances),
        *(all_entries - len(entries), all_entries, len(own) - len(target)),
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
        'annotations': [entry for entry in entries if entry['video_id'] in kept],
        'categories': categories,
    }


def random_view(
    image: np.ndarray, instances: AnnotatedFrame, rng: np.random.Generator
) -> tuple[np.ndarray, AnnotatedFrame]:
    """An image turned, shifted, tilted, recoloured and perhaps blurred, and what is left in it.

    Args:
        image: [H, W, 3] uint8, BGR.
        instances: of the image.
    """
    height, width = image.shape[:2]
    matrix = random_homography(width, height, rng)
    view = cv2.warpPerspective(image, matrix, (width, height))
    view = random_colours(view, rng)
    if rng.random() < BLUR_SHARE:
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
    moved = replace(instances, boxes=corners, masks=rles)
    return view, visible(moved, stacked.any(axis=(1, 2)))


def visible(instances: AnnotatedFrame, kept: np.ndarray) -> AnnotatedFrame:
    """Those of ``kept`` [G] bool."""
    return AnnotatedFrame(
        boxes=instances.boxes[kept],
        labels=instances.labels[kept],
        ids=instances.ids[kept],
        masks=[mask for mask, keep in zip(instances.masks, kept) if keep],
        crowd=instances.crowd[kept],
    )


def random_homography(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """A rotation about the centre and a shift, then a tilt that pulls the corners out: [3, 3]."""
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
    """Hue and saturation shifted by up to 5, brightness by up to 40 of 255."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL).astype(np.int16)
    hue, saturation = rng.integers(-HUE, HUE + 1, 2)
    hsv[..., 0] = (hsv[..., 0] + hue) % 256
    hsv[..., 1] += saturation
    hsv[..., 2] += rng.integers(-BRIGHTNESS, BRIGHTNESS + 1)
    return cv2.cvtColor(hsv.clip(0, 255).astype(np.uint8), cv2.COLOR_HSV2BGR_FULL)


def motion_blur(image: np.ndarray, size: int, angle: float) -> np.ndarray:
    """Blurred along a line of ``size`` pixels at ``angle`` degrees."""
    line = np.zeros((size, size), np.float32)
    line[size // 2] = 1
    turn = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), angle, 1.0)
    kernel = cv2.warpAffine(line, turn, (size, size))
    return cv2.filter2D(image, -1, kernel / kernel.sum())
