"""The choice of the (query, class) pairs that a clip outputs."""

from __future__ import annotations

import torch

from tevit_vis.inference_config import InferenceConfig
from tevit_vis.utils.errors import InputError


def best_pairs(
    probabilities: torch.Tensor, config: InferenceConfig
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the best (query, class) pairs, best first: scores, queries and labels, [N] each.

    Args:
        probabilities: [Q, K].
        config: ``max_instances`` limits the number of pairs; with ``has_one_class_per_query`` a
            query is output with its best class only.

    Example:
        >>> config = InferenceConfig.of(dict(max_per_img=2))
        >>> _, queries, labels = best_pairs(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), config)
        >>> queries.tolist(), labels.tolist()
        ([0, 1], [1, 0])
    """
    num_classes = probabilities.shape[1]
    if config.has_one_class_per_query:
        best_scores, best_labels = probabilities.max(1)
        scores, queries = best_scores.topk(_num_pairs(config, len(best_scores)))
        return scores, queries, best_labels[queries]
    scores, pairs = probabilities.flatten().topk(_num_pairs(config, probabilities.numel()))
    return scores, pairs // num_classes, pairs % num_classes


def _num_pairs(config: InferenceConfig, num_candidates: int) -> int:
    """Returns the number of pairs that are output."""
    if config.max_instances is None:
        raise InputError(
            'model.test_cfg: max_per_img must be the number of instances to output (TeViT: '
            'model.test_cfg.rcnn.max_per_img), but is missing'
        )
    return min(config.max_instances, num_candidates)
