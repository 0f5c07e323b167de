"""The two graphs of a model: from frames to feature maps, and from these to instances.

Letters: N instances, T frames, Q queries, K classes, C channels, h and w cells of a mask.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Union

import numpy as np
import torch
from mmcv import ConfigDict
from torch import nn

from tevit_vis.geometry import FrameGeometry
from tevit_vis.layers.clip_ops import ClipPadding, fold_frames
from tevit_vis.layers.exporting import is_exporting
from tevit_vis.layers.roi_align import boxes_to_rois
from tevit_vis.models.detectors import IFC, ClipDetector, Mask2FormerVIS, SeqFormer, TeViT
from tevit_vis.models.heads import ifc_head, mask2former_head, seqformer_head
from tevit_vis.models.heads.mask2former_clip_head import Mask2FormerClipHead
from tevit_vis.models.heads.selection import best_pairs
from tevit_vis.utils.errors import InputError

EXAMPLE_FRAMES = 4  # of the clip with which a graph for any number of frames is traced
CLIP_OUTPUTS = ('queries', 'class_scores', 'masks', 'embeddings', 'boxes')
QUERY_OUTPUTS = ('class_logits', 'masks', 'embeddings')
# Pixels of the network's input along a cell of the masks; 0 for masks that fill their boxes.
MASK_STRIDES = {
    TeViT: 0,
    SeqFormer: seqformer_head.MASK_STRIDE,
    IFC: ifc_head.FEATURE_STRIDE,
    Mask2FormerVIS: mask2former_head.MASK_STRIDE,
}
DEFAULT_TRACKER = {'type': 'SoftIoUStitcher', 'min_iou': 0.05, 'min_score': 0.01}
WITH_OWN_BOXES = (TeViT, SeqFormer)  # the boxes of others are those around their masks


@contextlib.contextmanager
def with_windows(model: ClipDetector, length: int, stride: int) -> Iterator[None]:
    """Gives a model windows for a while."""
    test_cfg = model.test_cfg
    windows = {'length': length, 'stride': stride}
    tracker = (test_cfg or {}).get('tracker') or DEFAULT_TRACKER
    model.test_cfg = ConfigDict({**(test_cfg or {}), 'windows': windows, 'tracker': tracker})
    try:
        yield
    finally:
        model.test_cfg = test_cfg


def mask_stride(model: ClipDetector) -> int:
    """Returns the entry of ``MASK_STRIDES``.

    Raises:
        InputError: the model is of another system.
    """
    for kind, stride in MASK_STRIDES.items():
        if isinstance(model, kind):
            return stride
    known = ', '.join(kind.__name__ for kind in MASK_STRIDES)
    raise InputError(f'model: must be {known} to be exported, but is {type(model).__name__}')


def kind_of_predictions(model: ClipDetector) -> str:
    """Returns what the graph of predictions gives, see docs/exported_graphs.md.

    ``best_queries`` are as many of a clip as instances are output. ``clip_queries`` are all queries
    of a clip, where their number is free (IFC); ``frame_queries`` all queries of one frame, where
    they are linked afterwards (MinVIS).
    """
    if isinstance(model, IFC):
        return 'clip_queries'
    if isinstance(model, Mask2FormerVIS) and not isinstance(
        model.panoptic_head, Mask2FormerClipHead
    ):
        return 'frame_queries'
    return 'best_queries'


class FeatureGraph(nn.Module):
    """Frames [T, 3, H, W] -> feature maps [T, C, H_l, W_l]."""

    def __init__(self, model: ClipDetector) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: torch.Tensor) -> list[torch.Tensor]:
        """Returns the maps of each level."""
        return [level[0] for level in self.model.extract_feat(frames[None])]


class ClipGraph(nn.Module):
    """Feature maps of a clip -> its best queries, in pixels of the network's input.

    To be run inside of ``with_windows``, so that each query comes once. Those whose best classes
    are best hold all of the best (query, class) pairs, which are chosen outside.

    Args:
        model: of the system.
        resized: (H, W) of the frames before padding.
        padded: (H, W) of the network's input.
    """

    def __init__(
        self, model: ClipDetector, resized: tuple[int, int], padded: tuple[int, int]
    ) -> None:
        super().__init__()
        self.model = model
        has_own_boxes = isinstance(model, WITH_OWN_BOXES)
        self.outputs = CLIP_OUTPUTS if has_own_boxes else CLIP_OUTPUTS[:-1]
        self.meta = {
            'ori_shape': (*resized, 3),
            'img_shape': (*resized, 3),
            'pad_shape': (*padded, 3),
            'scale_factor': np.ones(4, np.float32),
        }

    def forward(self, *levels: torch.Tensor) -> list[torch.Tensor]:
        """Returns ``CLIP_OUTPUTS``; boxes only where they are not those around the masks."""
        num_frames = 1 if is_exporting() else len(levels[0])
        metas = [self.meta] * num_frames  # all frames of a clip have the same
        clip = [level[None] for level in levels]
        if isinstance(self.model, TeViT):
            return self._outputs_of_rois(self.model, clip, metas)
        found = self.model.predict_clip(clip, metas)
        assert found.embeddings is not None, 'all systems have embeddings'
        outputs = [found.queries, found.class_scores, found.masks.logits, found.embeddings]
        return [*outputs, found.boxes][: len(self.outputs)]

    def _outputs_of_rois(
        self, model: TeViT, clip: list[torch.Tensor], metas: list[dict]
    ) -> list[torch.Tensor]:
        """Returns the same with the masks of all classes [N, K, T, h, w], which differ in TeViT."""
        *_, last = model.stages(clip, metas)
        head = model.roi_head
        class_scores = head.bbox_head[-1].class_probabilities(last.cls_score[0]).mean(0)
        _, queries, _ = best_pairs(class_scores, model.inference_config)
        boxes = last.boxes[:, :, queries]
        masks = head._mask_forward(
            head.num_stages - 1,
            [fold_frames(level) for level in clip],
            boxes_to_rois(boxes),
            last.attn_feats[:, :, queries].transpose(1, 2).flatten(0, 2),
        )['mask_pred']  # [N * T, K, h, w]
        return [
            queries,
            class_scores[queries],
            masks.unflatten(0, (queries.shape[0], -1)).transpose(1, 2),
            last.object_feats[0][:, queries].transpose(0, 1),
            boxes[0].transpose(0, 1),
        ]


class QueryGraph(nn.Module):
    """Feature maps of a clip -> all of its queries; those with an object are chosen outside.

    Args:
        model: ``IFC``.
        resized: (H, W) of the frames before padding.
        padded: (H, W) of the network's input.
    """

    outputs = QUERY_OUTPUTS

    def __init__(self, model: IFC, resized: tuple[int, int], padded: tuple[int, int]) -> None:
        super().__init__()
        self.head = model.bbox_head
        self.geometry = FrameGeometry(resized, resized, padded, (1.0, 1.0))

    def forward(self, *levels: torch.Tensor) -> list[torch.Tensor]:
        """Returns class logits [Q, K + 1], mask logits [Q, T, h, w] and queries [Q, C]."""
        clip = [level[None] for level in levels]
        _, num_frames, _, height, width = clip[-1].shape
        padding = ClipPadding.of_clip(
            self.geometry.resized,
            num_frames,
            (height, width),
            ifc_head.ENCODER_STRIDE,
            clip[0].device,
        )
        outputs = self.head(clip, padding)
        features = self.geometry.crop_to_image(outputs.features, ifc_head.FEATURE_STRIDE)
        queries = outputs.queries[-1]
        masks = self.head.mask_logits(features, queries)[0]
        return [outputs.cls_scores[-1][0], masks, queries[0]]


class FrameGraph(nn.Module):
    """Feature maps of a frame -> all queries of it, which are linked outside of the graph (MinVIS).

    Args:
        model: ``Mask2FormerVIS`` whose head looks at frames one by one.
        resized: (H, W) of the frame before padding.
        padded: (H, W) of the network's input.
    """

    outputs = QUERY_OUTPUTS

    def __init__(
        self, model: Mask2FormerVIS, resized: tuple[int, int], padded: tuple[int, int]
    ) -> None:
        super().__init__()
        self.head = model.panoptic_head
        self.geometry = FrameGeometry(resized, resized, padded, (1.0, 1.0))

    def forward(self, *levels: torch.Tensor) -> list[torch.Tensor]:
        """Returns class logits [Q, K + 1], mask logits [Q, h, w] and queries [Q, C]."""
        mask_features, *encoded = (level[None] for level in levels)
        queries = self.head(mask_features, encoded)[-1]
        features = self.geometry.crop_to_image(mask_features, mask2former_head.MASK_STRIDE)
        masks = self.head.mask_logits(queries, features)
        return [self.head.class_logits(queries[0]), masks[0, :, 0], queries[0]]


PredictionGraph = Union[ClipGraph, QueryGraph, FrameGraph]
PREDICTION_GRAPHS: dict[str, Callable[..., PredictionGraph]] = {
    'best_queries': ClipGraph,
    'clip_queries': QueryGraph,
    'frame_queries': FrameGraph,
}
