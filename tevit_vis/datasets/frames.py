"""Prepares one frame, from a file or an array, for the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmcv.parallel import DataContainer
from mmdet.core import BitmapMasks
from mmdet.datasets.pipelines import Compose

from tevit_vis.annotated_instances import AnnotatedFrame
from tevit_vis.utils.config_shorthand import pipeline_steps
from tevit_vis.utils.errors import InputError
from tevit_vis.video.images import image_faults

TRAIN_KEYS = ('img', 'img_metas', 'gt_bboxes', 'gt_labels', 'gt_masks', 'gt_ids')


class Frame(NamedTuple):
    """A frame, prepared for the network."""

    img: torch.Tensor  # [3, H, W], normalised and padded
    meta: dict  # img_shape, pad_shape, ori_shape, scale_factor, ...


class TrainFrame(NamedTuple):
    """A frame and its G instances, prepared for the network."""

    img: torch.Tensor  # [3, H, W], normalised and padded
    meta: dict
    bboxes: torch.Tensor  # [G, 4] x1 y1 x2 y2 in pixels of the network input
    labels: torch.Tensor  # [G]
    masks: BitmapMasks  # G masks, padded like the image
    ids: torch.Tensor  # [G], equal for an instance in all frames


class FramePipeline:
    """Runs a pipeline of mmdet transforms on one frame at a time.

    Args:
        transforms: configs of the steps, or a dict {name: config}; the first step reads a file.

    Raises:
        InputError: the first step does not read a file.
    """

    def __init__(self, transforms: Sequence[dict] | Mapping[str, dict]) -> None:
        steps = pipeline_steps(transforms or ())
        first = steps[0].get('type', 'a step without a type') if steps else 'none'
        if not first.startswith('LoadImage'):
            raise InputError(
                f'data.<split>.pipeline: its first step must be LoadImageFromFile, but got {first}'
            )
        self.load = Compose(steps[:1])
        self.transform = Compose(steps[1:])

    def read(self, path: str) -> dict:
        """Decodes an image file into mmdet's ``results`` dict.

        Raises:
            InputError: the file is absent or is not an image.
        """
        with image_faults(path):
            return self.load(dict(img_info=dict(filename=path), img_prefix=None))

    def from_file(self, path: str) -> Frame:
        """Returns the frame of an image file."""
        return self._to_frame(self.read(path))

    def from_array(self, image: np.ndarray) -> Frame:
        """Returns the frame of an image [H, W, 3] (uint8, BGR)."""
        return self._to_frame(
            dict(
                filename=None,
                ori_filename=None,
                img=image,
                img_shape=image.shape,
                ori_shape=image.shape,
                img_fields=['img'],
            )
        )

    def train_frame(self, image: dict, instances: AnnotatedFrame) -> TrainFrame:
        """Returns a frame with its instances; crowds are left out.

        Args:
            image: what ``read`` returns.
            instances: those of the frame.

        Raises:
            InputError: the pipeline drops the frame or does not collect what training needs.
        """
        is_kept = ~instances.crowd
        masks = [mask for mask, keep in zip(instances.masks, is_kept) if keep]
        height, width = image['img_shape'][:2]
        results = dict(
            image,
            img_info=dict(image['img_info'], height=height, width=width),
            ann_info=dict(
                bboxes=instances.boxes[is_kept],
                # Transforms that drop an instance drop its label. The labels are indices here, so
                # that they tell afterwards which instances are left.
                labels=np.arange(len(masks)),
                masks=masks,
            ),
            gt_ids=None,
            bbox_fields=[],
            mask_fields=[],
            seg_fields=[],
        )
        collected = self.transform(results)
        if collected is None:
            raise InputError(
                f'{image["filename"]}: data.train.pipeline must keep every frame, but dropped this '
                'one (RandomCrop: allow_negative_crop=True; FilterAnnotations: keep_empty=False)'
            )
        missing = [key for key in TRAIN_KEYS if key not in collected]
        if missing:
            raise InputError(
                f'data.train.pipeline: must collect {", ".join(TRAIN_KEYS)}, '
                f'but {", ".join(missing)} is not there'
            )
        img, meta, bboxes, indices, masks, _ = (_unwrap(collected[key]) for key in TRAIN_KEYS)
        labels, ids = (
            torch.as_tensor(values[is_kept])[indices]
            for values in (instances.labels, instances.ids)
        )
        return TrainFrame(img, meta, bboxes, labels, masks, ids)

    def _to_frame(self, results: dict) -> Frame:
        collected = self.transform(results)
        return Frame(img=collected['img'].data, meta=collected['img_metas'].data)


def _unwrap(value: object) -> object:
    """Returns the value in mmdet's DataContainer, which ``datasets/loader.py`` does not need."""
    return value.data if isinstance(value, DataContainer) else value
