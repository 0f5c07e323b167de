"""Which (query, class) pairs of a clip are output."""

from __future__ import annotations

import torch

from tevit_vis.models.inference_config import InferenceConfig


def best_pairs(
    probabilities: torch.Tensor, config: InferenceConfig
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the best (query, class) pairs, best first: scores, queries and labels, [N] each.

    Args:
        probabilities: [Q, K].
        config: ``max_instances`` says how many, and there may be fewer; in windows a query is
            output under its best class alone.
    """
    num_classes = probabilities.shape[1]
    if config.one_per_query:
        best_scores, best_labels = probabilities.max(1)
        scores, queries = best_scores.topk(_count(config, len(best_scores)))
        return scores, queries, best_labels[queries]
    scores, pairs = probabilities.flatten().topk(_count(config, probabilities.numel()))
    return scores, pairs // num_classes, pairs % num_classes


def _count(config: InferenceConfig, most: int) -> int:
    return most if config.max_instances is None else min(config.max_instances, most)
