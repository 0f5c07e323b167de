"""Where a frame's pixels lie in the network's input, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tevit_vis.utils.errors import InputError

if TYPE_CHECKING:
    import torch

Array = TypeVar('Array', 'torch.Tensor', np.ndarray)


@dataclass(frozen=True)
class FrameGeometry:
    """Where the pixels of an original frame lie in the network's input.

    A frame is resized, then padded on the right and at the bottom. All boxes and masks of the
    network go back to the frame by this object, so that no head resizes the padded area.

    Args:
        original: (H, W) of the frame as it was read.
        resized: (H, W) of the frame in the network's input, before padding.
        padded: (H, W) of the network's input.
        scale: (x, y), pixels of the network's input per pixel of the original frame.

    Raises:
        InputError: the sizes contradict each other: the frame was cropped, or padded on the left
            or at the top.

    Example:
        >>> import torch
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
            InputError: the frames differ, were flipped, or have sizes that contradict each other.
        """
        geometries = {
            cls(
                original=tuple(meta['ori_shape'][:2]),
                resized=tuple(meta['img_shape'][:2]),
                padded=tuple(meta['pad_shape'][:2]),
                scale=_scale_of(meta),
            )
            for meta in metas
        }
        if len(geometries) != 1:
            raise InputError(
                'data.test.pipeline: the frames of a clip must share a geometry, '
                f'but got {geometries}'
            )
        if any(meta.get('flip') for meta in metas):
            raise InputError('data.test.pipeline: frames must not be flipped, but flip is True')
        return geometries.pop()

    def boxes_to_frame(self, boxes: Array) -> Array:
        """Converts boxes [..., 4], x1 y1 x2 y2, from pixels of the input to pixels of the frame."""
        return boxes / _numbers(self.scale * 2, boxes)

    def relative_boxes_to_frame(self, boxes: torch.Tensor) -> torch.Tensor:
        """Converts boxes [..., 4], x1 y1 x2 y2, from relative to pixels of the frame."""
        height, width = self.resized
        return boxes * boxes.new_tensor([width / self.scale[0], height / self.scale[1]] * 2)

    def cells(self, maps: torch.Tensor | np.ndarray, stride: int) -> tuple[float, float]:
        """Returns how many (y, x) cells of maps the frame covers, which need not be whole numbers.

        PARITY(SeqFormer, IFC): where nothing was padded, the frame covers the whole map, even if
        the last cells reach beyond the input.

        Args:
            maps: [..., h, w] over the padded input, also if cropped by ``crop_to_image``.
            stride: pixels of the network's input along a cell.
        """
        y, x = (
            resized / stride if resized < padded else float(count)
            for resized, padded, count in zip(self.resized, self.padded, maps.shape[-2:])
        )
        return y, x

    def crop_to_image(self, maps: torch.Tensor, stride: int) -> torch.Tensor:
        """Returns maps over the padded input without the cells that hold no pixel of the frame.

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


def _numbers(values: Sequence[float], like: Array) -> Array:
    """Returns numbers of the kind of ``like``."""
    if isinstance(like, np.ndarray):
        return np.array(values, like.dtype)
    return like.new_tensor(values)


def _scale_of(meta: Mapping) -> tuple[float, float]:
    """Returns (x, y) of mmdet's ``scale_factor``, which is one number if nothing was resized."""
    factors = np.ravel(meta.get('scale_factor', 1.0))
    factors = factors if len(factors) > 1 else np.tile(factors, 2)
    return float(factors[0]), float(factors[1])
