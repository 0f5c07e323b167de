"""SeqFormer's head: encoder, decoder, classes, boxes and dynamic masks of a clip.

Wu et al., "SeqFormer: Sequential Transformer for Video Instance Segmentation", ECCV 2022.

Letters: B clips, T frames, Q queries, K classes, C channels, L levels, N instances of a clip,
H_l, W_l cells of a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, NamedTuple

import torch
from mmcv.cnn import bias_init_with_prob
from mmcv.runner import ModuleList
from mmdet.core import bbox_cxcywh_to_xyxy
from mmdet.models.builder import HEADS
from torch import nn

from tevit_vis.geometry import FrameGeometry
from tevit_vis.ground_truth import GtTubes, TrainOutputs
from tevit_vis.inference_config import InferenceConfig
from tevit_vis.layers.clip_decoder import ClipDecoder, ClipDecoderLayer, DecoderLayerOutput
from tevit_vis.layers.clip_ops import ClipPadding, constant, fold_frames, unfold_frames
from tevit_vis.layers.deform_encoder import (
    ClipTokens,
    DeformEncoder,
    DeformEncoderLayer,
    LevelTokenizer,
)
from tevit_vis.layers.dynamic_mask import (
    FEATURE_STRIDE,
    DynamicConvs,
    MaskFeatures,
    aligned_bilinear,
)
from tevit_vis.layers.exporting import is_exporting, split_parts
from tevit_vis.layers.mlp import mlp
from tevit_vis.layers.precision import FullPrecisionLinear, full_precision
from tevit_vis.masks import ResizedMasks
from tevit_vis.structures import ClipPrediction

from .clip_query_head import ClipQueryHead, LayerPrediction
from .selection import best_pairs

MASK_STRIDE = 4  # of mask logits, in pixels of the network input
NUM_MAPS = 3  # the first levels, of strides 8, 16 and 32, which give the mask features


class SeqFormerOutputs(NamedTuple):
    """The outputs of encoder, decoder and classifier for a batch of clips."""

    memory: ClipTokens  # with encoded features
    layers: list[DecoderLayerOutput]
    cls_scores: list[torch.Tensor]  # [B, Q, K] logits of each layer


@HEADS.register_module()
class SeqFormerHead(ClipQueryHead):
    """SeqFormer's head: each query stands for one instance in all frames of a clip.

    Args:
        num_classes: K.
        embed_dims: C.
        encoder: arguments of ``DeformEncoder``, without ``embed_dims``. Its first three levels must
            have strides 8, 16 and 32.
        decoder: arguments of ``ClipDecoder``, without ``embed_dims``.
        with_coordinates: whether the mask convolutions also get the position of each cell relative
            to the instance.
        losses: configs by name: ``ce`` of classes, ``bbox`` and ``giou`` of boxes, ``mask`` and
            ``dice`` of masks.
        train_cfg: ``assigner``.
        test_cfg: ``max_per_img``, the most (query, class) pairs that are output for a clip,
            or of queries for a window.
    """

    predicts = frozenset({'classes', 'boxes', 'masks'})
    config_sections: ClassVar = {
        'encoder': (DeformEncoder, DeformEncoderLayer),
        'decoder': (ClipDecoder, ClipDecoderLayer),
    }

    def __init__(
        self,
        num_classes: int,
        embed_dims: int,
        encoder: dict,
        decoder: dict,
        with_coordinates: bool,
        losses: dict,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
    ) -> None:
        super().__init__(num_classes, losses, train_cfg, test_cfg)
        self.tokens = LevelTokenizer(embed_dims, encoder['attention']['num_levels'])
        self.encoder = DeformEncoder(embed_dims=embed_dims, **encoder)
        self.decoder = ClipDecoder(embed_dims=embed_dims, **decoder)
        self.class_branches = ModuleList(
            [FullPrecisionLinear(embed_dims, num_classes) for _ in self.decoder.layers]
        )
        self.mask_features = MaskFeatures(embed_dims)
        self.mask_convs = DynamicConvs(self.mask_features.out_channels, with_coordinates)
        self.controller = mlp(embed_dims, self.mask_convs.num_parameters, num_layers=3)

    def init_weights(self) -> None:
        """Initialises each part; all classes start with a probability of 0.01."""
        super().init_weights()
        for branch in self.class_branches:
            nn.init.constant_(branch.bias, bias_init_with_prob(0.01))
        for linear in list(self.controller)[::2]:
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(
        self, levels: Sequence[torch.Tensor], padding: ClipPadding, frames_per_pass: int
    ) -> SeqFormerOutputs:
        """Returns the outputs of encoder, decoder and classifier.

        Args:
            levels: [B, T, C, H_l, W_l] each.
            padding: [B, T, H, W] of the network input.
            frames_per_pass: frames encoded at a time at inference.
        """
        memory = self.encoder(self.tokens(levels, padding), frames_per_pass)
        layers = self.decoder(memory)
        cls_scores = [branch(layer.instances) for branch, layer in zip(self.class_branches, layers)]
        return SeqFormerOutputs(memory, layers, cls_scores)

    def train_outputs(
        self,
        levels: Sequence[torch.Tensor],
        padding: ClipPadding,
        gt_tubes: Sequence[GtTubes],
        img_shapes: Sequence[Sequence[int]],
    ) -> TrainOutputs:
        """Returns the losses of all layers, see ``layer_losses``, and their inputs.

        Args:
            levels: [B, T, C, H_l, W_l] each.
            padding: [B, T, H, W] of the network input.
            gt_tubes: of each clip; masks on the padded network input.
            img_shapes: (H, W, ...) of each clip before padding.
        """
        outputs = self(levels, padding, frames_per_pass=padding.mask.shape[1])
        features = self._mask_feature_maps(outputs.memory)

        def mask_logits(layer: DecoderLayerOutput, b: int, queries: torch.Tensor) -> torch.Tensor:
            references = layer.references[b][:, queries]
            instances = layer.instances[b, queries]
            return self._mask_logits(features[b], instances, references, img_shapes[b])

        layers = [
            LayerPrediction(cls_scores, layer.boxes, partial(mask_logits, layer))
            for cls_scores, layer in zip(outputs.cls_scores, outputs.layers)
        ]
        losses, matched = self.layer_losses(layers, gt_tubes)
        return TrainOutputs(
            losses=losses,
            padding=padding.mask,
            feature_maps=outputs.memory.maps(NUM_MAPS),
            pred_masks=matched.pred_masks,
            gt_tubes=gt_tubes,
        )

    def mask_targets(self, gt_tubes: GtTubes) -> torch.Tensor:
        """Returns every fourth pixel of the masks: [N, T, h, w] float, 0 or 1."""
        start = MASK_STRIDE // 2
        return gt_tubes.masks[:, :, start::MASK_STRIDE, start::MASK_STRIDE].float()

    def _mask_feature_maps(self, memory: ClipTokens) -> torch.Tensor:
        """Returns the mask features [B, T, F, H, W] in fp32 at stride 8."""
        maps = [fold_frames(level) for level in memory.maps(NUM_MAPS)]
        return unfold_frames(self.mask_features(maps).float(), len(memory.features))

    def _mask_logits(
        self,
        features: torch.Tensor,
        instances: torch.Tensor,
        references: torch.Tensor,
        img_shape: Sequence[int],
    ) -> torch.Tensor:
        """Mask logits of one clip at stride 4: [N, T, 2 H, 2 W].

        Args:
            features: [T, F, H, W] at stride 8.
            instances: [N, C] queries.
            references: [T, N, 2] box centres that their layer refined, relative to the image.
            img_shape: (H, W, ...) in pixels before padding.
        """
        height, width = img_shape[:2]
        size = constant((width, height), references.dtype, references.device)
        centres = references.transpose(0, 1) * size
        with full_precision(features.device):
            parameters = self.controller(instances)
        return aligned_bilinear(self.mask_convs(features, parameters, centres))

    def predict(
        self,
        levels: Sequence[torch.Tensor],
        padding: ClipPadding,
        geometry: FrameGeometry,
        frames_per_pass: int,
        config: InferenceConfig,
    ) -> ClipPrediction:
        """Returns the best (query, class) pairs of one clip, with the masks of their queries.

        Args:
            levels: [1, T, C, H_l, W_l] each.
            padding: [1, T, H, W] of the network input.
            geometry: of the clip's frames.
            frames_per_pass: frames worked on at a time.
            config: which pairs are output, and the threshold of masks.
        """
        # Run the network and choose the pairs.
        outputs = self(levels, padding, frames_per_pass)
        last_layer = outputs.layers[-1]
        probabilities = outputs.cls_scores[-1][0].sigmoid()  # [Q, K]
        scores, queries, labels = best_pairs(probabilities, config)
        # Compute the mask of each chosen query once, for a few frames at a time.
        if is_exporting():  # a graph has no lists whose lengths depend on values
            mask_queries, mask_of_pair = queries, torch.arange(len(queries))
        else:
            mask_queries, mask_of_pair = queries.unique(return_inverse=True)
        logits = [
            self._mask_logits(
                geometry.crop_to_image(self._mask_feature_maps(part)[0], FEATURE_STRIDE),
                last_layer.instances[0, mask_queries],
                references[:, mask_queries],
                geometry.resized,
            )
            for part, references in zip(
                outputs.memory.split(frames_per_pass),
                split_parts(last_layer.references[0], frames_per_pass),
            )
        ]
        logits = torch.cat(logits, 1)[mask_of_pair]  # [N, T, h, w]
        # Convert boxes and masks from the network input to the original frames.
        boxes = bbox_cxcywh_to_xyxy(last_layer.boxes[0][:, queries])  # [T, N, 4]
        return ClipPrediction(
            queries=queries,
            labels=labels,
            scores=scores,
            class_scores=probabilities[queries],
            boxes=geometry.relative_boxes_to_frame(boxes).transpose(0, 1),
            masks=ResizedMasks(
                logits=logits,
                size=geometry.original,
                threshold=config.mask_threshold,
                cells=geometry.cells(logits, MASK_STRIDE),
            ),
            embeddings=last_layer.instances[0, queries],
        )
