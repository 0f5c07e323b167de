"""SeqFormer's head: encoder, decoder, classes, boxes and dynamic masks of a clip.

Wu et al., "SeqFormer: Sequential Transformer for Video Instance Segmentation", ECCV 2022.

Letters: B clips, T frames, Q queries, K classes, C channels, L levels, N instances of a clip,
H_l, W_l cells of a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from mmcv.cnn import bias_init_with_prob
from mmcv.runner import BaseModule, ModuleList
from mmdet.core import bbox_cxcywh_to_xyxy, build_assigner
from mmdet.models.builder import HEADS, build_loss
from torch import nn

from tevit_vis.geometry import FrameGeometry
from tevit_vis.layers.clip_decoder import ClipDecoder, ClipDecoderLayer, LayerQueries
from tevit_vis.layers.clip_ops import ClipPadding, constant, fold_frames, unfold_frames
from tevit_vis.layers.deform_encoder import (
    ClipTokens,
    DeformEncoder,
    DeformEncoderLayer,
    LevelTokens,
)
from tevit_vis.layers.dynamic_mask import DynamicConvs, MaskFeatures, aligned_bilinear
from tevit_vis.layers.mlp import mlp
from tevit_vis.layers.precision import FullPrecisionLinear, full_precision
from tevit_vis.masks import ResizedMasks
from tevit_vis.models.assigners.matching import solve
from tevit_vis.structures import ClipPrediction, ClipSupervision, Tubes
from tevit_vis.tracking import windows_of
from tevit_vis.utils.values import whole_number

from .clip_truths import instance_count, layers_of_pairs, name_layer_losses
from .selection import best_pairs

MASK_STRIDE = 4  # of mask logits, in pixels of the network input
FEATURE_STRIDE = 8  # of mask features
NUM_MAPS = 3  # levels that are features of masks, of strides 8, 16 and 32


class ClipOutputs(NamedTuple):
    """What the network says of a batch of clips."""

    memory: ClipTokens  # encoded
    layers: list[LayerQueries]
    cls_scores: list[torch.Tensor]  # [B, Q, K] logits of each layer


class MatchedLayer(NamedTuple):
    """What a decoder layer says of the instances of a batch, beside the truth."""

    labels: torch.Tensor  # [B, Q], K where a query has no instance
    boxes: tuple[torch.Tensor, torch.Tensor]  # predicted and true [sum(T * N), 4]
    masks: list[torch.Tensor]  # [N, T, h, w] logits of each clip
    bits: list[torch.Tensor]  # [N, T, h, w] their truth, 0 or 1


@HEADS.register_module()
class SeqFormerHead(BaseModule):
    """Queries that stand for an instance in all frames of a clip.

    Args:
        num_classes: K.
        embed_dims: C.
        encoder: arguments of ``DeformEncoder``, without ``embed_dims``. Of its levels the first
            three have strides 8, 16 and 32.
        decoder: arguments of ``ClipDecoder``, without ``embed_dims``.
        with_coordinates: masks also see where cells lie relative to the instance.
        losses: configs by name: ``ce`` of classes, ``bbox`` and ``giou`` of boxes, ``mask`` and
            ``dice`` of masks.
        train_cfg: ``assigner``.
        test_cfg: ``max_per_img`` (query, class) pairs that are output, or queries of a window.
    """

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
        super().__init__()
        self.num_classes = num_classes
        self.tokens = LevelTokens(embed_dims, encoder['attention']['num_levels'])
        self.encoder = DeformEncoder(embed_dims=embed_dims, **encoder)
        self.decoder = ClipDecoder(embed_dims=embed_dims, **decoder)
        self.class_branches = ModuleList(
            [FullPrecisionLinear(embed_dims, num_classes) for _ in self.decoder.layers]
        )
        self.mask_features = MaskFeatures(embed_dims)
        self.mask_convs = DynamicConvs(self.mask_features.out_channels, with_coordinates)
        self.controller = mlp(embed_dims, self.mask_convs.num_parameters, num_layers=3)
        self.losses = nn.ModuleDict({name: build_loss(loss) for name, loss in losses.items()})
        self.assigner = build_assigner(train_cfg['assigner']) if train_cfg else None
        self.test_cfg = test_cfg

    def init_weights(self) -> None:
        """Classes begin unlikely; the rest as each part draws."""
        super().init_weights()
        for branch in self.class_branches:
            nn.init.constant_(branch.bias, bias_init_with_prob(0.01))
        for linear in list(self.controller)[::2]:
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(
        self, levels: Sequence[torch.Tensor], padding: ClipPadding, frames_per_pass: int
    ) -> ClipOutputs:
        """Run encoder and decoder.

        Args:
            levels: [B, T, C, H_l, W_l] each.
            padding: [B, T, H, W] of the network input.
            frames_per_pass: frames encoded at a time at inference.
        """
        memory = self.encoder(self.tokens(levels, padding), frames_per_pass)
        layers = self.decoder(memory)
        cls_scores = [branch(layer.instances) for branch, layer in zip(self.class_branches, layers)]
        return ClipOutputs(memory, layers, cls_scores)

    def supervise(
        self,
        levels: Sequence[torch.Tensor],
        padding: ClipPadding,
        tubes: Sequence[Tubes],
        img_shapes: Sequence[Sequence[int]],
    ) -> ClipSupervision:
        """Losses of all layers: ``loss_ce`` and so on of the last one, ``loss_ce_0`` of the first;
        with the last one's masks.

        Args:
            levels: [B, T, C, H_l, W_l] each.
            padding: [B, T, H, W] of the network input.
            tubes: of each clip.
            img_shapes: (H, W, ...) of each clip before padding.
        """
        outputs = self(levels, padding, frames_per_pass=padding.mask.shape[1])
        features = self._mask_feature_maps(outputs.memory)
        with full_precision(features.device):
            count = instance_count(tubes, features.device)
            pairs = self.match_layers(outputs, tubes)
            matched = [
                self._gather_matched(layer, scores, features, tubes, img_shapes, pairs)
                for layer, scores, pairs in zip(outputs.layers, outputs.cls_scores, pairs)
            ]
            losses = [
                self._layer_losses(scores, layer, count, num_frames=features.shape[1])
                for scores, layer in zip(outputs.cls_scores, matched)
            ]
        return ClipSupervision(
            losses=name_layer_losses(losses),
            padding=padding.mask,
            maps=outputs.memory.maps(NUM_MAPS),
            masks=matched[-1].masks,
            tubes=tubes,
        )

    def match_layers(
        self, outputs: ClipOutputs, tubes: Sequence[Tubes]
    ) -> list[list[tuple[torch.Tensor, torch.Tensor]]]:
        """Returns the matched queries and instances of each layer and clip."""
        costs = [
            self.assigner.costs(clip_scores, clip_boxes, clip)
            for layer, scores in zip(outputs.layers, outputs.cls_scores)
            for clip_scores, clip_boxes, clip in zip(scores, layer.boxes, tubes)
        ]
        return layers_of_pairs(solve(costs), len(tubes), outputs.cls_scores[0].device)

    def _mask_feature_maps(self, memory: ClipTokens) -> torch.Tensor:
        """[B, T, F, H, W] in fp32 at stride 8."""
        maps = [fold_frames(level) for level in memory.maps(NUM_MAPS)]
        return unfold_frames(self.mask_features(maps).float(), len(memory.features))

    def _gather_matched(
        self,
        layer: LayerQueries,
        scores: torch.Tensor,
        features: torch.Tensor,
        tubes: Sequence[Tubes],
        img_shapes: Sequence[Sequence[int]],
        pairs: Sequence[tuple[torch.Tensor, torch.Tensor]],
    ) -> MatchedLayer:
        """Matched queries of one layer beside the instances that they are to find.

        Args:
            layer: queries, boxes and references.
            scores: [B, Q, K] logits.
            features: [B, T, F, H, W] of masks.
            tubes, img_shapes: of each clip.
            pairs: matched queries and instances of each clip.
        """
        labels = scores.new_full(scores.shape[:2], self.num_classes, dtype=torch.long)
        boxes, masks, bits = [], [], []
        for b, (truth, (queries, instances)) in enumerate(zip(tubes, pairs)):
            labels[b, queries] = truth.labels[instances]
            boxes.append((layer.boxes[b][:, queries], truth.boxes[:, instances]))
            masks.append(
                self._mask_logits(
                    features[b],
                    layer.instances[b, queries],
                    layer.references[b][:, queries],
                    img_shapes[b],
                )
            )
            start = MASK_STRIDE // 2
            sampled = truth.masks[:, :, start::MASK_STRIDE, start::MASK_STRIDE]
            bits.append(sampled[instances].to(masks[-1]))
        predicted, true = (torch.cat([b.flatten(0, 1) for b in side]) for side in zip(*boxes))
        return MatchedLayer(labels, (predicted, true), masks, bits)

    def _layer_losses(
        self, scores: torch.Tensor, matched: MatchedLayer, count: torch.Tensor, num_frames: int
    ) -> dict[str, torch.Tensor]:
        """Losses of one layer.

        Args:
            scores: [B, Q, K] logits.
            matched: what is compared.
            count: of instances, by which all is divided.
            num_frames: T.
        """
        predicted, true = matched.boxes
        logits, bits = (
            torch.cat([masks.flatten(1) for masks in side])
            for side in (matched.masks, matched.bits)
        )
        values = dict(
            ce=(scores.flatten(0, 1), matched.labels.flatten(), count),
            bbox=(predicted, true, count * num_frames),
            giou=(
                bbox_cxcywh_to_xyxy(predicted),
                bbox_cxcywh_to_xyxy(true),
                count * num_frames,
            ),
            # PARITY(SeqFormer): the padded area has part in both mask losses, and the dice of an
            # instance is one of all its frames.
            mask=(logits, bits, count),
            dice=(logits, bits, count),
        )
        return {
            f'loss_{name}': self.losses[name](found, wanted, avg_factor=by)
            for name, (found, wanted, by) in values.items()
        }

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
            references: [T, N, 2] that their layer started from, as shares of the image.
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
    ) -> ClipPrediction:
        """The best (query, class) pairs of one clip, and masks for their queries alone.

        Args:
            levels: [1, T, C, H_l, W_l] each.
            padding: [1, T, H, W] of the network input.
            geometry: of the clip's frames.
            frames_per_pass: frames worked on at a time.
        """
        outputs = self(levels, padding, frames_per_pass)
        last = outputs.layers[-1]
        probabilities = outputs.cls_scores[-1][0].sigmoid()  # [Q, K]
        wanted = whole_number('model.test_cfg.max_per_img', self.test_cfg.max_per_img, least=0)
        scores, queries, labels = best_pairs(
            probabilities, wanted, one_per_query=windows_of(self.test_cfg) is not None
        )
        distinct, which = queries.unique(return_inverse=True)
        logits = [
            self._mask_logits(
                geometry.crop_to_image(self._mask_feature_maps(some)[0], FEATURE_STRIDE),
                last.instances[0, distinct],
                references[:, distinct],
                geometry.resized,
            )
            for some, references in zip(
                outputs.memory.split(frames_per_pass), last.references[0].split(frames_per_pass)
            )
        ]
        maps = torch.cat(logits, 1)[which]
        boxes = bbox_cxcywh_to_xyxy(last.boxes[0][:, queries])  # [T, N, 4]
        return ClipPrediction(
            queries=queries,
            labels=labels,
            scores=scores,
            class_scores=probabilities[queries],
            boxes=geometry.relative_boxes_to_frame(boxes).transpose(0, 1),
            masks=ResizedMasks(maps, geometry.original, geometry.cells(maps, MASK_STRIDE)),
        )
