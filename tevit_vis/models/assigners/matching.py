"""The Hungarian solver, for all layers and clips of a batch at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from mmdet.core.bbox.assigners import BaseAssigner
from scipy.optimize import linear_sum_assignment


class ClipAssigner(BaseAssigner):
    """One Hungarian assignment per clip. Subclasses give the costs; heads solve many at once."""

    @abstractmethod
    def costs(self, *args) -> torch.Tensor:
        """Returns the cost [Q, I] of each query for each instance of a clip."""

    def assign(self, *args) -> tuple[np.ndarray, np.ndarray]:
        """mmdet's entry: the matched queries and instances of one clip; arguments of ``costs``."""
        return solve([self.costs(*args)])[0]


def solve(costs: Sequence[torch.Tensor]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the cheapest pairs of rows and columns of each cost matrix.

    All matrices reach the host in one copy, so that a GPU is waited for once per iteration.

    Args:
        costs: matrices [Q, I] of any sizes on one device. What is not finite costs 1e4, or -1e4
            where it is minus infinity: the loss reports a model that diverges, not the solver.

    Returns:
        Rows and columns of the pairs of each matrix, [min(Q, I)] int64 each, rows in order.

    Example:
        >>> ((rows, columns),) = solve([torch.tensor([[3.0, 1.0], [1.0, 3.0]])])
        >>> rows.tolist(), columns.tolist()
        ([0, 1], [1, 0])
    """
    if not costs:
        return []
    flat = torch.cat([matrix.detach().flatten() for matrix in costs])
    values = np.nan_to_num(flat.float().cpu().numpy(), nan=1e4, posinf=1e4, neginf=-1e4)
    ends = np.cumsum([matrix.numel() for matrix in costs])
    pairs = []
    for part, matrix in zip(np.split(values, ends[:-1]), costs):
        rows, columns = linear_sum_assignment(part.reshape(matrix.shape))
        pairs.append((np.asarray(rows, np.int64), np.asarray(columns, np.int64)))
    return pairs


def on_device(arrays: Sequence[np.ndarray], device: torch.device) -> list[torch.Tensor]:
    """Returns arrays of one type as tensors on a device, after one copy of them all.

    Example:
        >>> [part.tolist() for part in on_device([np.arange(2), np.arange(1)], torch.device('cpu'))]
        [[0, 1], [0]]
    """
    joined = torch.from_numpy(np.concatenate(arrays)).to(device, non_blocking=True)
    return list(joined.split([len(array) for array in arrays]))
