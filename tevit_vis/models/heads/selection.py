"""Which of a clip's (query, class) pairs are output."""

from __future__ import annotations

import torch


def best_pairs(
    probabilities: torch.Tensor, wanted: int, one_per_query: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The best (query, class) pairs, best first: scores, queries and labels, [N] each.

    Args:
        probabilities: [Q, K].
        wanted: pairs, of which there may be fewer.
        one_per_query: a query under its best class alone, for windows: whole class vectors are
            stitched.
    """
    if one_per_query:
        best_scores, best_labels = probabilities.max(1)
        scores, queries = best_scores.topk(min(wanted, len(best_scores)))
        return scores, queries, best_labels[queries]
    scores, best = probabilities.flatten().topk(min(wanted, probabilities.numel()))
    num_classes = probabilities.shape[1]
    return scores, best // num_classes, best % num_classes
