"""What trackers and masks do with tensors of torch and, in exported models, with arrays of numpy.

Every function takes either and returns its kind; torch is imported only where a tensor is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any  # a tensor of torch or an array of numpy
LEAST_NORM = 1e-12  # keeps the direction of a vector of zeros finite


def is_numpy(x: Array) -> bool:
    """Returns whether it is numpy's, not torch's."""
    return isinstance(x, np.ndarray)


def to_numpy(x: Array) -> np.ndarray:
    """Returns an array of numpy; a tensor is copied from its device."""
    return x if is_numpy(x) else x.cpu().numpy()


def as_float(x: Array) -> Array:
    """Returns it in 32 bits."""
    return x.astype(np.float32, copy=False) if is_numpy(x) else x.float()


def sigmoid(x: Array) -> Array:
    """Returns the logistic function.

    Example:
        >>> sigmoid(np.float32([0.0, -1000.0])).tolist()
        [0.5, 0.0]
    """
    if not is_numpy(x):
        return x.sigmoid()
    halves = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1, halves) / (1 + halves)


def softmax(x: Array, axis: int) -> Array:
    """Returns the softmax along an axis.

    Example:
        >>> softmax(np.zeros((1, 2)), 1).tolist()
        [[0.5, 0.5]]
    """
    if not is_numpy(x):
        return x.softmax(axis)
    if not x.size:
        return x
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def unit(x: Array, axis: int) -> Array:
    """Returns vectors along an axis divided by their lengths.

    Example:
        >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]]), 1).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    if is_numpy(x):
        return x / np.maximum(np.linalg.norm(x, axis=axis, keepdims=True), LEAST_NORM)
    import torch

    return torch.nn.functional.normalize(x, dim=axis, eps=LEAST_NORM)


def inner_products(first: Array, second: Array) -> Array:
    """Returns the products [M, N] of [M, ...] and [N, ...], summed over all other axes.

    Example:
        >>> inner_products(np.ones((2, 1, 3)), np.ones((4, 1, 3))).shape
        (2, 4)
    """
    if is_numpy(first):
        return np.tensordot(first, second, (range(1, first.ndim), range(1, first.ndim)))
    import torch

    return torch.einsum('mthw,nthw->mn', first, second) if first.ndim == 4 else first @ second.T


def stack(arrays: Sequence[Array]) -> Array:
    """Returns arrays of one shape, stacked along a new first axis."""
    if is_numpy(arrays[0]):
        return np.stack(arrays)
    import torch

    return torch.stack(list(arrays))


def append(vector: Array, number: Array) -> Array:
    """Returns a vector with a number behind it, in 32 bits."""
    if is_numpy(vector):
        return np.append(vector, number).astype(np.float32)
    import torch

    return torch.cat([vector.float(), number[None]])


def zeros(shape: tuple[int, ...], like: Array) -> Array:
    """Returns zeros of the kind of ``like``."""
    return np.zeros(shape, like.dtype) if is_numpy(like) else like.new_zeros(*shape)


def where(condition: Array, x: Array) -> Array:
    """Returns ``x`` where the condition holds, 0 elsewhere."""
    return np.where(condition, x, 0) if is_numpy(x) else x.where(condition, 0.0)
