"""From the outputs of a graph to the instances of a clip.

Letters: N instances, T frames, Q queries, K classes, C channels, h and w cells of a mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tevit_vis.arrays import softmax
from tevit_vis.geometry import FrameGeometry
from tevit_vis.inference_config import InferenceConfig
from tevit_vis.numpy_masks import ArrayResizedMasks, ArrayRoIMasks, mask_extents
from tevit_vis.structures import ClipPrediction
from tevit_vis.tracking import align_queries

from .folder import ModelFolder

Outputs = Mapping[str, Any]  # arrays by name


def clip_prediction(
    outputs: Outputs, folder: ModelFolder, geometry: FrameGeometry, config: InferenceConfig
) -> ClipPrediction:
    """Returns the instances of a clip.

    Args:
        outputs: of the graph ``predictions``, see docs/exported_graphs.md.
        folder: of the model.
        geometry: of the clip's frames.
        config: the threshold of masks.
    """
    logits = outputs['masks']
    masks: Any
    boxes: Any
    if folder.mask_kind == 'roi':
        boxes = geometry.boxes_to_frame(outputs['boxes'])
        masks = ArrayRoIMasks(logits, geometry.original, config.mask_threshold, boxes)
    else:
        cells = geometry.cells(logits, folder.mask_stride)
        masks = ArrayResizedMasks(logits, geometry.original, config.mask_threshold, cells)
        if 'boxes' in outputs:
            boxes = geometry.boxes_to_frame(outputs['boxes'])
        else:
            boxes = mask_extents(logits > masks.threshold_logit, geometry.original, cells)
    return ClipPrediction(
        queries=outputs['queries'],
        labels=outputs['labels'],
        scores=outputs['scores'],
        class_scores=outputs['class_scores'],
        boxes=boxes,
        masks=masks,
        embeddings=outputs['embeddings'],
    )


def join_frame_queries(frames: Sequence[Outputs], config: InferenceConfig) -> Outputs:
    """Returns the outputs of a clip from those of its frames, whose queries are linked (MinVIS).

    Args:
        frames: T times ``class_logits`` [Q, K + 1], ``masks`` [Q, h, w], ``embeddings`` [Q, C].
        config: the number of instances.
    """
    queries = np.stack([frame['embeddings'] for frame in frames])  # [T, Q, C]
    order = align_queries(queries)
    logits = [frame['class_logits'][own] for frame, own in zip(frames, order)]
    probabilities = softmax(np.mean(logits, 0), 1)[:, :-1]
    scores, chosen, labels = best_pairs(probabilities, config)
    places = [own[chosen] for own in order]
    return {
        'queries': chosen,
        'labels': labels,
        'scores': scores,
        'class_scores': probabilities[chosen],
        'masks': np.stack([frame['masks'][own] for frame, own in zip(frames, places)], 1),
        'embeddings': np.stack([frame['embeddings'][own] for frame, own in zip(frames, places)], 1),
    }


def queries_with_objects(outputs: Outputs) -> Outputs:
    """Returns the instances of a clip from all of its queries: those that are no background (IFC).

    Args:
        outputs: ``class_logits`` [Q, K + 1], ``masks`` [Q, T, h, w], ``embeddings`` [Q, C].

    Example:
        >>> logits = np.array([[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]])
        >>> outputs = {'class_logits': logits, 'masks': np.ones((2, 1, 1, 1)), 'embeddings': logits}
        >>> queries_with_objects(outputs)['queries'].tolist()
        [0]
    """
    probabilities = softmax(outputs['class_logits'], 1)
    queries = np.flatnonzero(probabilities.argmax(1) < probabilities.shape[1] - 1)
    class_scores = probabilities[queries, :-1]
    return {
        'queries': queries,
        'labels': class_scores.argmax(1),
        'scores': class_scores.max(1),
        'class_scores': class_scores,
        'masks': outputs['masks'][queries],
        'embeddings': outputs['embeddings'][queries],
    }


def best_instances(outputs: Outputs, config: InferenceConfig) -> Outputs:
    """Returns the instances of a clip from its best queries: their best (query, class) pairs.

    Args:
        outputs: ``queries`` [N], ``class_scores`` [N, K] and others of N queries; ``masks`` are
            [N, T, h, w], or [N, K, T, h, w] where each class has its own.
        config: how many pairs, and whether a query has one class only.
    """
    scores, places, labels = best_pairs(outputs['class_scores'], config)
    chosen = {name: array[places] for name, array in outputs.items()}
    if outputs['masks'].ndim == 5:
        chosen['masks'] = outputs['masks'][places, labels]
    return {**chosen, 'scores': scores, 'labels': labels}


def best_pairs(
    probabilities: np.ndarray, config: InferenceConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns scores, queries and labels of the best (query, class) pairs, best first.

    See ``models.heads.selection.best_pairs``.

    Args:
        probabilities: [Q, K].
        config: how many, and whether a query has one class only.

    Example:
        >>> config = InferenceConfig.of(dict(max_per_img=2))
        >>> _, queries, labels = best_pairs(np.array([[0.1, 0.9], [0.8, 0.2]]), config)
        >>> queries.tolist(), labels.tolist()
        ([0, 1], [1, 0])
    """
    num_classes = probabilities.shape[1]
    if config.has_one_class_per_query:
        labels = probabilities.argmax(1)
        best = probabilities.max(1)
        queries = np.argsort(-best, kind='stable')[: config.max_instances]
        return best[queries], queries, labels[queries]
    pairs = np.argsort(-probabilities.ravel(), kind='stable')[: config.max_instances]
    return probabilities.ravel()[pairs], pairs // num_classes, pairs % num_classes


def first_frames(outputs: Outputs, num_frames: int) -> Outputs:
    """Returns the outputs of a clip [N, T, ...] for its first frames.

    Args:
        outputs: ``masks``, ``boxes``, ``embeddings`` and those that have no frames.
        num_frames: that are kept.
    """
    cut = {name: outputs[name][:, :num_frames] for name in ('masks', 'boxes') if name in outputs}
    embeddings = outputs['embeddings']
    if embeddings.ndim == 3:
        cut['embeddings'] = embeddings[:, :num_frames]
    return {**outputs, **cut}
