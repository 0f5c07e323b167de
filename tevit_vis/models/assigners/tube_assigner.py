"""One Hungarian assignment per clip: a query is matched with an instance in all frames at once.

All systems match in this way (TeViT, section 3.4; SeqFormer, section 3.4; IFC, section 3.3). They
differ in the costs, which a config lists.

Letters: T frames, Q queries, N instances of the clip.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmdet.core.bbox.assigners import BaseAssigner
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from scipy.optimize import linear_sum_assignment

from tevit_vis.ground_truth import GtTubes
from tevit_vis.layers.precision import full_precision

from .tube_costs import PredTubes, build_costs, compared_by_any, sum_of_costs


@BBOX_ASSIGNERS.register_module()
class TubeHungarianAssigner(BaseAssigner):
    """Matches queries with instances so that the sum of all costs is least.

    Args:
        costs: configs of costs in mmdet's MATCH_COST registry, see ``tube_costs.py``.

    Raises:
        InputError: there is no cost, or one of them is not a cost of tubes.

    Example:
        >>> assigner = TubeHungarianAssigner(costs=[dict(type='ClassificationCost', weight=1.0)])
        >>> gt = GtTubes.of_labels(torch.tensor([1]), num_frames=3)
        >>> scores = torch.tensor([[[5.0, 0.0], [0.0, 5.0]]])  # the second query is sure of class 1
        >>> queries, instances = assigner.assign(PredTubes(scores), gt)
        >>> queries.tolist(), instances.tolist()
        ([1], [0])
    """

    def __init__(self, costs: Sequence[dict]) -> None:
        self.costs = build_costs(costs)
        self.compares = compared_by_any(self.costs)

    @torch.no_grad()
    def cost_matrix(self, pred: PredTubes, gt: GtTubes) -> torch.Tensor:
        """Returns the cost [Q, N] of matching each query with each instance of a clip.

        It is computed in fp32, whatever dtype the network uses: the area of a million pixels is
        infinite in fp16 and has three digits in bf16.
        """
        with full_precision(pred.cls_scores.device):
            return sum_of_costs(self.costs, pred.float(), gt)

    def assign(self, pred: PredTubes, gt: GtTubes) -> tuple[np.ndarray, np.ndarray]:
        """Returns the matched queries and their instances of one clip, int64.

        Heads that match many layers and clips call ``cost_matrix`` for each of them and
        ``solve_assignments`` once.
        """
        return solve_assignments([self.cost_matrix(pred, gt)])[0]


def solve_assignments(cost_matrices: Sequence[torch.Tensor]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the cheapest pairs of rows and columns of each cost matrix.

    One copy brings all matrices to the host, which so waits for the GPU once per iteration.

    Args:
        cost_matrices: matrices [Q, N] of any sizes on one device. Minus infinity counts as -1e4,
            other values that are not finite as 1e4: the loss reports a model that diverges.

    Returns:
        Rows and columns of the pairs of each matrix, [min(Q, N)] int64 each, in order of the rows.

    Example:
        >>> ((rows, columns),) = solve_assignments([torch.tensor([[3.0, 1.0], [1.0, 3.0]])])
        >>> rows.tolist(), columns.tolist()
        ([0, 1], [1, 0])
    """
    if not cost_matrices:
        return []
    flat = torch.cat([matrix.detach().flatten() for matrix in cost_matrices])
    values = np.nan_to_num(flat.float().cpu().numpy(), nan=1e4, posinf=1e4, neginf=-1e4)
    ends = np.cumsum([matrix.numel() for matrix in cost_matrices])
    pairs = []
    for part, matrix in zip(np.split(values, ends[:-1]), cost_matrices):
        rows, columns = linear_sum_assignment(part.reshape(matrix.shape))
        pairs.append((np.asarray(rows, np.int64), np.asarray(columns, np.int64)))
    return pairs
