"""Checks of the arrays in structures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tevit_vis.utils.errors import InputError


def check_outputs_finite(**outputs: np.ndarray) -> None:
    """Checks that the outputs of a model are finite.

    Args:
        outputs: arrays or tensors, by the names that errors give them.

    Raises:
        InputError: an output has a number that is NaN or infinite.

    Example:
        >>> check_outputs_finite(scores=np.zeros(2), boxes=np.zeros((2, 4)))
    """
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise InputError(
                f"{name} must be finite, but the model's are not: its weights diverged, or they "
                'need more than fp16 (amp=bf16 or none)'
            )


def check_shape(owner: str, name: str, shape: Sequence[int], expected: tuple[int, ...]) -> None:
    """Checks the shape of a field of a dataclass.

    Args:
        owner: name of the class.
        name: name of the field.
        shape: shape of the field's value.
        expected: shape that it must have.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> check_shape('VideoInstances', 'scores', (3,), expected=(2,))
        Traceback (most recent call last):
        ValueError: VideoInstances: scores must have shape [2], but got [3]
    """
    if tuple(shape) != expected:
        raise ValueError(f'{owner}: {name} must have shape {list(expected)}, but got {list(shape)}')
