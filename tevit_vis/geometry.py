"""Where a frame's pixels lie in the network's input, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tevit_vis.utils.errors import InputError


@dataclass(frozen=True)
class FrameGeometry:
    """Where the pixels of an original frame lie in the network's input.

    A frame is resized, then padded on the right and at the bottom. Everything that goes from the
    network back to the frame asks this object, so that no head resizes the padded area.

    Args:
        original: (H, W) of the frame as it was read.
        resized: (H, W) of the frame in the network's input, before padding.
        padded: (H, W) of the network's input.
        scale: (x, y), pixels of the network's input per pixel of the original frame.

    Raises:
        InputError: the sizes contradict each other: the frame was cropped, or padded on the left
            or at the top.

    Example:
        >>> geometry = FrameGeometry((360, 640), (90, 160), (96, 160), (0.25, 0.25))
        >>> geometry.boxes_to_frame(torch.tensor([[40.0, 0.0, 160.0, 90.0]])).tolist()
        [[160.0, 0.0, 640.0, 360.0]]
        >>> geometry.cells(torch.zeros(1, 12, 20), stride=8)
        (11.25, 20.0)
        >>> geometry.crop_to_image(torch.zeros(1, 24, 40), stride=4).shape
        torch.Size([1, 23, 40])
    """

    original: tuple[int, int]
    resized: tuple[int, int]
    padded: tuple[int, int]
    scale: tuple[float, float]

    def __post_init__(self) -> None:
        for axis, name in ((0, 'height'), (1, 'width')):
            original, resized = self.original[axis], self.resized[axis]
            if not 0 < resized <= self.padded[axis]:
                raise InputError(
                    f'data.test.pipeline: the padded {name} must be at least the {resized} pixels '
                    f'of the resized frame, but is {self.padded[axis]}'
                )
            scaled = original * self.scale[1 - axis]
            if abs(scaled - resized) > 0.51:  # a scale may be given before sizes are rounded
                raise InputError(
                    f'data.test.pipeline: the resized {name} must be the {original} pixels of the '
                    f'frame x scale {self.scale[1 - axis]:g} = {scaled:.1f}, but is {resized}: '
                    'a test pipeline may resize and pad, not crop'
                )

    @classmethod
    def of_clip(cls, metas: Sequence[Mapping]) -> FrameGeometry:
        """Returns the geometry that all frames of a clip share.

        Args:
            metas: T dicts of mmdet's test pipeline, with ``ori_shape``, ``img_shape``,
                ``pad_shape`` and ``scale_factor`` = (x, y, x, y).

        Raises:
            InputError: frames that differ, that were flipped, or whose sizes contradict each
                other.
        """
        found = {
            cls(
                original=tuple(meta['ori_shape'][:2]),
                resized=tuple(meta['img_shape'][:2]),
                padded=tuple(meta['pad_shape'][:2]),
                scale=_scale_of(meta),
            )
            for meta in metas
        }
        if len(found) != 1:
            raise InputError(
                f'data.test.pipeline: the frames of a clip must share a geometry, but got {found}'
            )
        if any(meta.get('flip') for meta in metas):
            raise InputError('data.test.pipeline: frames must not be flipped, but flip is True')
        return found.pop()

    def boxes_to_frame(self, boxes: torch.Tensor) -> torch.Tensor:
        """Boxes [..., 4], x1 y1 x2 y2, from pixels of the network's input to original pixels."""
        return boxes / boxes.new_tensor(self.scale * 2)

    def relative_boxes_to_frame(self, boxes: torch.Tensor) -> torch.Tensor:
        """Boxes [..., 4], x1 y1 x2 y2, from shares of the resized frame to original pixels."""
        height, width = self.resized
        return boxes * boxes.new_tensor([width / self.scale[0], height / self.scale[1]] * 2)

    def cells(self, maps: torch.Tensor, stride: int) -> tuple[float, float]:
        """(y, x) cells of maps over the padded input that the frame covers; the last may be a part.

        PARITY(SeqFormer, IFC): where nothing was padded, the whole map is the frame, also where
        its last cells reach beyond the input.

        Args:
            maps: [..., h, w], of which nothing or what ``crop_to_image`` says was cut off.
            stride: pixels of the network's input along a cell.
        """
        y, x = (
            resized / stride if resized < padded else float(count)
            for resized, padded, count in zip(self.resized, self.padded, maps.shape[-2:])
        )
        return y, x

    def crop_to_image(self, maps: torch.Tensor, stride: int) -> torch.Tensor:
        """The cells of maps over the padded input that hold a pixel of the frame.

        Args:
            maps: [..., h, w].
            stride: pixels of the network's input along a cell.

        Returns:
            [..., h', w'], a view; ``maps`` itself where nothing was padded.
        """
        for axis, (resized, padded) in enumerate(zip(self.resized, self.padded)):
            if resized < padded:
                maps = maps.narrow(axis - 2, 0, min(-(-resized // stride), maps.shape[axis - 2]))
        return maps


def _scale_of(meta: Mapping) -> tuple[float, float]:
    """(x, y) of mmdet's ``scale_factor``, which is one number where nothing was resized."""
    factors = np.ravel(meta.get('scale_factor', 1.0))
    factors = factors if len(factors) > 1 else np.tile(factors, 2)
    return float(factors[0]), float(factors[1])
