"""IFC's head: encoder with memory tokens, clip decoder, classes and masks.

Hwang et al., "Video Instance Segmentation using Inter-Frame Communication Transformers",
NeurIPS 2021.

Letters: B clips, T frames, Q queries, K classes, C channels, N instances of a clip, H and W cells
at stride 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from mmdet.models.builder import HEADS
from mmdet.models.utils import SinePositionalEncoding

from tevit_vis.geometry import FrameGeometry
from tevit_vis.ground_truth import GtTubes
from tevit_vis.inference_config import InferenceConfig
from tevit_vis.layers.clip_ops import ClipPadding, fold_frames, unfold_frames
from tevit_vis.layers.mask_fpn import MaskFPN
from tevit_vis.layers.memory_bus import (
    ClipQueryDecoder,
    ClipQueryLayer,
    MemoryBusEncoder,
    PostNormLayer,
)
from tevit_vis.layers.mlp import mlp
from tevit_vis.layers.precision import full_precision
from tevit_vis.masks import ResizedMasks, mask_extents
from tevit_vis.structures import ClipPrediction

from .clip_query_head import ClipQueryHead, LayerPrediction

TARGET_STRIDE = 4  # of the masks that are compared in training, in pixels of the network input
FEATURE_STRIDE = 8  # of mask features and mask logits
ENCODER_STRIDE = 32  # of the cells that the encoder takes


class IFCOutputs(NamedTuple):
    """The outputs of encoder, decoder and classifier for a batch of clips."""

    features: torch.Tensor  # [B, T, C, H, W] mask features
    queries: list[torch.Tensor]  # [B, Q, C] after each layer
    cls_scores: list[torch.Tensor]  # [B, Q, K + 1] logits of each layer; class K is no object


@HEADS.register_module()
class IFCHead(ClipQueryHead):
    """IFC's head: each query stands for one instance in all frames of a clip.

    Args:
        num_classes: K.
        embed_dims: C.
        encoder: arguments of ``MemoryBusEncoder``, without ``embed_dims``.
        decoder: arguments of ``ClipQueryDecoder``, without ``embed_dims``.
        losses: configs by name: ``ce`` of classes, ``mask`` and ``dice`` of masks.
        no_object_weight: weight of queries without an instance in ``ce``.
        train_cfg: ``assigner``.
        test_cfg: not used here.
    """

    predicts = frozenset({'classes', 'masks'})
    config_sections: ClassVar = {
        'encoder': (MemoryBusEncoder, PostNormLayer),
        'decoder': (ClipQueryDecoder, ClipQueryLayer),
    }

    def __init__(
        self,
        num_classes: int,
        embed_dims: int,
        encoder: dict,
        decoder: dict,
        losses: dict,
        no_object_weight: float,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
    ) -> None:
        super().__init__(num_classes, losses, train_cfg, test_cfg)
        self.no_object_weight = no_object_weight
        self.position = SinePositionalEncoding(embed_dims // 2, normalize=True)
        self.encoder = MemoryBusEncoder(embed_dims=embed_dims, **encoder)
        self.decoder = ClipQueryDecoder(embed_dims=embed_dims, **decoder)
        self.class_branch = mlp(embed_dims, num_classes + 1, num_layers=2)
        self.mask_features = MaskFPN(embed_dims)
        self.mask_weights = mlp(embed_dims, embed_dims, num_layers=3)

    def forward(self, levels: Sequence[torch.Tensor], padding: ClipPadding) -> IFCOutputs:
        """Returns the outputs of encoder, decoder and classifier.

        Args:
            levels: [B, T, C, H_l, W_l] of strides 8, 16 and 32.
            padding: [B, T, H_32, W_32].
        """
        finest, middle, coarsest = levels
        num_clips, num_frames = coarsest.shape[:2]
        # Encode the cells of the coarsest level.
        position = self.position(fold_frames(padding.mask).int())  # [B*T, C, H_32, W_32]
        position = unfold_frames(position.flatten(2).transpose(1, 2), num_clips)
        cells = coarsest.flatten(3).transpose(2, 3)  # [B, T, S, C]
        cell_padding = padding.mask.flatten(2) if padding.has_padding else None  # [B, T, S]
        memory = self.encoder(cells, position, cell_padding)
        # Decode the queries from the cells and memory tokens of all frames.
        token_position = self.encoder.token_position.expand_as(memory.tokens)
        memory_padding = None
        if cell_padding is not None:  # memory tokens are no padding
            num_tokens = num_frames * memory.tokens.shape[2]
            memory_padding = F.pad(cell_padding.flatten(1), (0, num_tokens))
        layer_queries = self.decoder(
            torch.cat([memory.cells.flatten(1, 2), memory.tokens.flatten(1, 2)], 1),
            torch.cat([position.flatten(1, 2), token_position.flatten(1, 2)], 1),
            memory_padding,
        )
        # Merge the encoded cells with the finer levels into mask features.
        encoded = memory.cells.transpose(2, 3).unflatten(3, coarsest.shape[3:])
        features = self.mask_features(*map(fold_frames, (encoded, middle, finest)))
        # Classify the queries of each layer.
        layer_queries = [queries.float() for queries in layer_queries]
        with full_precision(features.device):
            cls_scores = [self.class_branch(queries) for queries in layer_queries]
        return IFCOutputs(unfold_frames(features, num_clips), layer_queries, cls_scores)

    def mask_logits(self, features: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """Returns mask logits [B, N, T, H, W] of queries [B, N, C] on features [B, T, C, H, W]."""
        with full_precision(features.device):
            weights = self.mask_weights(queries.float())
            return torch.einsum('bnc,btchw->bnthw', weights, features.float())

    def forward_train(
        self,
        levels: Sequence[torch.Tensor],
        padding: ClipPadding,
        gt_tubes: Sequence[GtTubes],
    ) -> dict[str, torch.Tensor]:
        """Returns the losses of all layers, see ``layer_losses``.

        Args:
            levels, padding: as of ``forward``.
            gt_tubes: of each clip; masks on the padded network input.
        """
        outputs = self(levels, padding)

        def mask_logits(layer_queries: torch.Tensor, b: int, queries: torch.Tensor) -> torch.Tensor:
            features, clip = outputs.features[b : b + 1], slice(b, b + 1)
            logits = self.mask_logits(features, layer_queries[clip, queries])[0]
            return resize_masks(logits, target_size(gt_tubes[b]))

        layers = [
            LayerPrediction(cls_scores, None, partial(mask_logits, queries))
            for cls_scores, queries in zip(outputs.cls_scores, outputs.queries)
        ]
        return self.layer_losses(layers, gt_tubes)[0]

    def mask_targets(self, gt_tubes: GtTubes) -> torch.Tensor:
        """Returns the masks at stride 4: [N, T, h, w], 0 to 1."""
        # PARITY(IFC): masks are resized bilinearly and are not binary at their borders.
        return resize_masks(gt_tubes.masks.float(), target_size(gt_tubes))

    def class_loss(
        self, cls_scores: torch.Tensor, labels: torch.Tensor, num_instances: torch.Tensor
    ) -> torch.Tensor:
        """See ``ClipQueryHead.class_loss``; divided by the sum of the queries' weights instead."""
        weights = torch.where(labels < self.num_classes, 1.0, self.no_object_weight).flatten()
        return self.losses['ce'](
            cls_scores.flatten(0, 1), labels.flatten(), weight=weights, avg_factor=weights.sum()
        )

    def predict(
        self,
        levels: Sequence[torch.Tensor],
        padding: ClipPadding,
        geometry: FrameGeometry,
        config: InferenceConfig,
    ) -> ClipPrediction:
        """Returns the queries of one clip whose best class is an object.

        Args:
            levels, padding: as of ``forward``, B = 1.
            geometry: of the clip's frames.
            config: the threshold of masks.
        """
        outputs = self(levels, padding)
        probabilities = outputs.cls_scores[-1][0].softmax(-1)
        queries = (probabilities.argmax(-1) < self.num_classes).nonzero()[:, 0]
        class_scores = probabilities[queries, :-1]
        features = geometry.crop_to_image(outputs.features, FEATURE_STRIDE)
        logits = self.mask_logits(features, outputs.queries[-1][:, queries])[0]
        scores, labels = class_scores.max(1)
        cells = geometry.cells(logits, FEATURE_STRIDE)
        masks = ResizedMasks(logits, geometry.original, config.mask_threshold, cells)
        return ClipPrediction(
            queries=queries,
            labels=labels,
            scores=scores,
            class_scores=class_scores,
            boxes=mask_extents(logits > masks.threshold_logit, geometry.original, cells),
            masks=masks,
            embeddings=outputs.queries[-1][0, queries],
        )


def target_size(gt_tubes: GtTubes) -> tuple[int, int]:
    """Returns (h, w) of the masks that are compared in training."""
    height, width = gt_tubes.masks.shape[2:]
    return -(-height // TARGET_STRIDE), -(-width // TARGET_STRIDE)


def resize_masks(masks: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Returns masks [N, T, h, w] resized bilinearly to [N, T, *size]; N may be 0.

    Example:
        >>> resize_masks(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]]), (1, 1)).tolist()
        [[[[0.5]]]]
    """
    if not len(masks):  # the empty sum keeps the weights in the graph, as other processes expect
        return masks.new_zeros(*masks.shape[:2], *size) + masks.sum()
    return F.interpolate(masks, tuple(size), mode='bilinear', align_corners=False)
