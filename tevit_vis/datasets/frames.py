"""One frame, from a file or an array to the network's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmdet.datasets.pipelines import Compose

from tevit_vis.utils.errors import InputError
from tevit_vis.video_io import image_faults


class Frame(NamedTuple):
    """A frame as the network takes it."""

    img: torch.Tensor  # [3, H, W], normalised and padded
    meta: dict  # img_shape, pad_shape, ori_shape, scale_factor, ...


class FramePipeline:
    """mmdet's test pipeline, one frame at a time.

    Args:
        transforms: configs of the steps; the first reads a file.

    Raises:
        InputError: the first step does not read a file.
    """

    def __init__(self, transforms: Sequence[dict]) -> None:
        if not transforms or not transforms[0]['type'].startswith('LoadImage'):
            raise InputError(
                'data.test.pipeline: its first step must be LoadImageFromFile, '
                f'but got {transforms[0]["type"] if transforms else "none"}'
            )
        self.load = Compose(transforms[:1])
        self.transform = Compose(transforms[1:])

    def read(self, path: str) -> dict:
        """Decode an image file into mmdet's ``results`` dict.

        Raises:
            InputError: the file is absent or is no image.
        """
        with image_faults(path):
            return self.load(dict(img_info=dict(filename=path), img_prefix=None))

    def from_file(self, path: str) -> Frame:
        """The frame in an image file."""
        return self._finish(self.read(path))

    def from_array(self, image: np.ndarray) -> Frame:
        """The frame in an array [H, W, 3] (uint8, BGR)."""
        return self._finish(
            dict(
                filename=None,
                ori_filename=None,
                img=image,
                img_shape=image.shape,
                ori_shape=image.shape,
                img_fields=['img'],
            )
        )

    def _finish(self, results: dict) -> Frame:
        collected = self.transform(results)
        return Frame(img=collected['img'].data, meta=collected['img_metas'].data)
