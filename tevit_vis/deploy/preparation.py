"""Frames for the network, in numpy and OpenCV: what the test pipeline of a config does.

The steps are those of a folder's ``model.json``; ``export/steps.py`` writes them and checks that
they give what the pipeline gives, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from PIL import Image

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.sizes import fitted_size, short_side_size

Size = tuple[int, int]


@dataclass(frozen=True)
class PreparedFrame:
    """A frame as the network takes it.

    Args:
        image: [H, W, 3], then [3, H, W] float32 at the end.
        original: (H, W) of the frame.
        resized: (H, W) before padding.
    """

    image: np.ndarray
    original: Size
    resized: Size


class Preparation:
    """Resizes, normalises and pads frames.

    Args:
        steps: dicts with ``step`` and its numbers, in order.

    Raises:
        InputError: a step is not known.

    Example:
        >>> steps = [{'step': 'resize', 'scale': [8, 8]}, {'step': 'pad', 'divisor': 4, 'value': 0}]
        >>> frame = Preparation(steps)(np.zeros((10, 20, 3), np.uint8))
        >>> frame.image.shape, frame.resized
        ((3, 4, 8), (4, 8))
    """

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        unknown = [step.get('step') for step in steps if step.get('step') not in STEPS]
        if unknown:
            raise InputError(
                f'model.json: "preparation" must have steps of {", ".join(STEPS)}, but has '
                f'{unknown[0]!r}: it is of another version'
            )
        self.steps = list(steps)

    def __call__(self, image: np.ndarray) -> PreparedFrame:
        """Returns a frame [H, W, 3] (uint8, BGR) as the network takes it."""
        size = (image.shape[0], image.shape[1])
        frame = PreparedFrame(image, size, size)
        for step in self.steps:
            frame = STEPS[step['step']](frame, step)
        planes = np.ascontiguousarray(frame.image.transpose(2, 0, 1))
        return replace(frame, image=planes.astype(np.float32, copy=False))

    def sizes(self, height: int, width: int) -> tuple[Size, Size]:
        """Returns (H, W) of frames of a size after resizing, and after padding."""
        frame = self(np.zeros((height, width, 3), np.uint8))
        return frame.resized, (frame.image.shape[1], frame.image.shape[2])


def _resize(frame: PreparedFrame, step: Mapping[str, Any]) -> PreparedFrame:
    height, width = frame.image.shape[:2]
    return _resized(frame, fitted_size(width, height, step['scale']), step)


def _resize_to(frame: PreparedFrame, step: Mapping[str, Any]) -> PreparedFrame:
    return _resized(frame, tuple(step['scale']), step)


def _resize_short_side(frame: PreparedFrame, step: Mapping[str, Any]) -> PreparedFrame:
    height, width = frame.image.shape[:2]
    numbers = step['short_side'], step['max_long_side'], step['rounds']
    return _resized(frame, short_side_size(width, height, *numbers), step)


def _resized(frame: PreparedFrame, size: Size, step: Mapping[str, Any]) -> PreparedFrame:
    """Returns a frame resized to (width, height)."""
    if min(size) < 1:
        height, width = frame.image.shape[:2]
        raise InputError(
            f'frames of {width}x{height} would be {size[0]}x{size[1]} after resizing: they are too '
            'narrow for this model'
        )
    if step.get('backend', 'cv2') == 'pillow':
        resized = Image.fromarray(frame.image).resize(size, Image.Resampling.BILINEAR)
        return replace(frame, image=np.array(resized), resized=size[::-1])
    image = cv2.resize(frame.image, size, interpolation=cv2.INTER_LINEAR)
    return replace(frame, image=image, resized=size[::-1])


def _normalize(frame: PreparedFrame, step: Mapping[str, Any]) -> PreparedFrame:
    image = frame.image.astype(np.float32)
    if step['to_rgb']:
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, image)
    # mmdet keeps these numbers in 32 bits and computes with 64.
    mean, std = (np.array([step[key]], np.float32).astype(np.float64) for key in ('mean', 'std'))
    cv2.subtract(image, mean, image)
    cv2.multiply(image, 1 / std, image)
    return replace(frame, image=image)


def _pad(frame: PreparedFrame, step: Mapping[str, Any]) -> PreparedFrame:
    height, width = frame.image.shape[:2]
    divisor = step['divisor']
    bottom, right = -height % divisor, -width % divisor
    value = step['value']
    image = cv2.copyMakeBorder(
        *(frame.image, 0, bottom, 0, right, cv2.BORDER_CONSTANT),
        value=value if isinstance(value, (list, tuple)) else [value] * 3,
    )
    return replace(frame, image=image)


STEPS: dict[str, Callable[[PreparedFrame, Mapping[str, Any]], PreparedFrame]] = {
    'resize': _resize,
    'resize_to': _resize_to,
    'resize_short_side': _resize_short_side,
    'normalize': _normalize,
    'pad': _pad,
}
