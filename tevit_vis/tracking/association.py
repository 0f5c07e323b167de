"""How alike tracks and instances are, and which of them belong together.

Letters: M tracks, N instances, T frames, Q queries, C channels, h and w cells of a mask.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tevit_vis.arrays import Array, inner_products, softmax, to_numpy, unit
from tevit_vis.structures import check_outputs_finite

EPSILON = 1e-6  # keeps the IoU of two empty masks at 0


def soft_iou(first: Array, second: Array) -> Array:
    """Returns the IoU [M, N] of masks that are probabilities (IFC, section 3.4).

    Args:
        first: [M, T, h, w], 0 to 1.
        second: [N, T, h, w], 0 to 1.

    Example:
        >>> masks = np.array([[[[1.0, 0.0]]], [[[0.5, 0.5]]]])
        >>> [[round(value, 3) for value in row] for row in soft_iou(masks, masks).tolist()]
        [[1.0, 0.333], [0.333, 0.333]]
    """
    intersection = inner_products(first, second)
    union = first.sum((1, 2, 3))[:, None] + second.sum((1, 2, 3)) - intersection
    return intersection / (union + EPSILON)


def cosine(first: Array, second: Array) -> Array:
    """Returns the cosine similarity [M, N] of embeddings [M, C] and [N, C] (MinVIS, section 3.3).

    Example:
        >>> cosine(np.array([[2.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 3.0]])).tolist()
        [[1.0, 0.0]]
    """
    return unit(first, 1) @ unit(second, 1).T


def bi_softmax(first: Array, second: Array) -> Array:
    """Returns the mean of two softmaxes [M, N] of the products of embeddings [M, C] and [N, C].

    One softmax is over the tracks, the other one over the instances, so that a pair is similar if
    each is the other's best choice (CTVIS, section 3.2).

    Example:
        >>> pairs = bi_softmax(np.array([[9.0, 0.0], [0.0, 9.0]]), np.eye(2))
        >>> pairs.round(2).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    products = first @ second.T
    return (softmax(products, 0) + softmax(products, 1)) / 2


def align_queries(queries: Array) -> np.ndarray:
    """Returns the order of each frame's queries in which each continues the same instance.

    From frame to frame, the pairs with the largest sum of cosines are chosen, and no query is left
    out (MinVIS, section 3.3).

    Args:
        queries: [T, Q, C] of the frames, in 32 bits.

    Returns:
        [T, Q] int64; of the first frame 0 to Q - 1.

    Raises:
        InputError: a query is not finite.

    Example:
        >>> left, right = [1.0, 0.0], [0.0, 1.0]
        >>> align_queries(np.array([[left, right], [right, left]])).tolist()
        [[0, 1], [1, 0]]
    """
    from scipy.optimize import linear_sum_assignment  # takes half a second to import

    num_frames, num_queries = queries.shape[:2]
    order = np.tile(np.arange(num_queries), (num_frames, 1))
    if num_frames > 1:
        directions = unit(queries, 2)
        similarities = to_numpy(directions[:-1] @ directions[1:].swapaxes(1, 2))
        check_outputs_finite(queries=similarities)
        for t, similarity in enumerate(similarities):
            _, order[t + 1] = linear_sum_assignment(similarity[order[t]], maximize=True)
    return order


def assign(similarity: np.ndarray, minimum: float) -> list[int]:
    """Returns the track of each instance with the largest sum of similarities, -1 for none.

    Args:
        similarity: [M, N]; what is not above ``minimum`` is not matched.
        minimum: of the similarity.

    Returns:
        N rows of the similarity.

    Example:
        >>> assign(np.array([[0.9, 0.8], [0.8, 0.1]]), minimum=0.3)
        [1, 0]
    """
    from scipy.optimize import linear_sum_assignment  # takes half a second to import

    allowed = np.where(similarity > minimum, similarity - minimum, 0)
    rows, columns = linear_sum_assignment(allowed, maximize=True)
    track_of = [-1] * similarity.shape[1]
    for row, column in zip(rows.tolist(), columns.tolist()):
        if allowed[row, column] > 0:
            track_of[column] = row
    return track_of


def assign_greedily(
    similarity: np.ndarray, minimum: float, order: Sequence[int], preference: np.ndarray
) -> list[int]:
    """Returns the track of each instance, -1 for none; one instance after the other chooses.

    Args:
        similarity: [M, N].
        minimum: a track whose similarity is not above it is not chosen.
        order: instances in the order in which they choose.
        preference: [M]; of several tracks above the minimum, an instance chooses the one whose
            similarity times its preference is largest.

    Returns:
        N rows of the similarity.

    Example:
        >>> similarity = np.array([[0.9, 0.8], [0.8, 0.1]])
        >>> assign_greedily(similarity, 0.3, order=[0, 1], preference=np.ones(2))
        [0, -1]
    """
    track_of = [-1] * similarity.shape[1]
    is_free = np.ones(len(similarity), bool)
    for column in order:
        allowed = is_free & (similarity[:, column] > minimum)
        if allowed.any():
            row = int(np.where(allowed, similarity[:, column] * preference, -np.inf).argmax())
            track_of[column] = row
            is_free[row] = False
    return track_of
