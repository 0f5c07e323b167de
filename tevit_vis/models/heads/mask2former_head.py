"""Mask2Former's head on clips: mmdet's parts and losses, masks only for the queries that are kept.

Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation", CVPR 2022; the
link between the frames of a clip is that of Huang et al., "MinVIS", NeurIPS 2022, section 3.3.

Letters: B clips, T frames, Q queries, K classes, C channels, G annotations of a frame, H and W
cells at stride 4, h and w cells of an encoded level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmcv import ConfigDict
from mmdet.core import BitmapMasks
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads import Mask2FormerHead

from tevit_vis.geometry import FrameGeometry
from tevit_vis.inference_config import InferenceConfig
from tevit_vis.layers.clip_ops import fold_frames, unfold_frames
from tevit_vis.layers.precision import at_least_fp32, full_precision
from tevit_vis.masks import ResizedMasks, mask_extents
from tevit_vis.structures import ClipPrediction
from tevit_vis.tracking import align_queries

from .selection import best_pairs

MASK_STRIDE = 4  # of mask features and mask logits, in pixels of the network input


class Annotations(NamedTuple):
    """The annotations of a batch: B lists of T each, as of ``ClipDetector.forward_train``."""

    metas: Sequence[Sequence[dict]]
    bboxes: Sequence[Sequence[torch.Tensor]]
    labels: Sequence[Sequence[torch.Tensor]]
    masks: Sequence[Sequence[BitmapMasks]]
    ids: Sequence[Sequence[torch.Tensor]]


class AttendedLevel(NamedTuple):
    """What the queries attend to on one level."""

    cells: torch.Tensor  # [B, T * h * w, C]
    position: torch.Tensor  # [1, T * h * w, C] of the cells
    mask_features: torch.Tensor  # [B, T, C, h, w], resized to this level


@HEADS.register_module()
class Mask2FormerVISHead(Mask2FormerHead):
    """mmdet's Mask2FormerHead for the instances of frames, with the queries as embeddings.

    Parts, names of weights and losses are those of Mask2FormerHead without stuff classes. The
    decoder looks at masks only where it attends: a mask is linear in the mask features, so these
    are resized to the attended level instead of the masks of all queries.

    Args:
        num_classes: K.
        no_object_weight: weight of queries without an instance in ``loss_cls``.
        loss_cls: config of the loss of classes, without ``class_weight``.
        kwargs: arguments of Mask2FormerHead. ``pixel_decoder`` must be a ``PixelDecoder``, and
            layers must be batch first.
    """

    def __init__(self, num_classes: int, no_object_weight: float, loss_cls: dict, **kwargs) -> None:
        class_weight = [1.0] * num_classes + [no_object_weight]
        super().__init__(
            num_things_classes=num_classes,
            num_stuff_classes=0,
            loss_cls=ConfigDict(loss_cls, class_weight=class_weight),
            **kwargs,
        )

    def forward(
        self, mask_features: torch.Tensor, levels: Sequence[torch.Tensor]
    ) -> list[torch.Tensor]:
        """Returns the normed queries [B, Q, C] before the first decoder layer and after each.

        A query attends to all frames of its clip.

        Args:
            mask_features: [B, T, C, H, W] of the pixel decoder.
            levels: [B, T, C, h, w] each of the pixel decoder, the coarsest first.
        """
        num_clips = len(mask_features)
        attended = [
            AttendedLevel(
                cells=as_cells(
                    unfold_frames(project(fold_frames(level)), num_clips) + embedding[:, None, None]
                ),
                position=as_cells(self.cell_position(level)),
                mask_features=resize_maps(mask_features, level.shape[3:]),
            )
            for project, level, embedding in zip(
                self.decoder_input_projs, levels, self.level_embed.weight
            )
        ]
        queries = self.query_feat.weight.expand(num_clips, -1, -1)
        position = self.query_embed.weight.expand(num_clips, -1, -1)
        outputs = [self.transformer_decoder.post_norm(queries)]
        for number, layer in enumerate(self.transformer_decoder.layers):
            level = attended[number % len(attended)]
            queries = layer(
                query=queries,
                key=level.cells,
                value=level.cells,
                query_pos=position,
                key_pos=level.position,
                attn_masks=[self.background(outputs[-1], level.mask_features), None],
            )
            outputs.append(self.transformer_decoder.post_norm(queries))
        return [at_least_fp32(output) for output in outputs]

    def cell_position(self, level: torch.Tensor) -> torch.Tensor:
        """Returns the position [1, T, C, h, w] of the cells of a level [B, T, C, h, w]."""
        no_padding = level.new_zeros(1, *level.shape[3:], dtype=torch.int)
        position = self.decoder_positional_encoding(no_padding)[:, None]
        return position.expand(-1, level.shape[1], -1, -1, -1)

    @torch.no_grad()
    def background(self, queries: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Returns the cells that queries do not attend to: [B, Q, T * h * w] bool.

        These are the cells outside a query's mask; a query with an empty mask attends to all.

        Args:
            queries: [B, Q, C], normed.
            features: [B, T, C, h, w], the mask features in the size of the attended level.
        """
        outside = self.mask_logits(queries, features).flatten(2) < 0
        return outside & ~outside.all(-1, keepdim=True)

    def mask_logits(self, queries: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Returns mask logits [B, Q, T, h, w] of queries [B, Q, C] on features [B, T, C, h, w]."""
        with full_precision(features.device):
            weights = self.mask_embed(at_least_fp32(queries))
            return torch.einsum('bqc,btchw->bqthw', weights, at_least_fp32(features))

    def class_logits(self, queries: torch.Tensor) -> torch.Tensor:
        """Returns class logits [..., K + 1] of queries [..., C]; class K is no object."""
        with full_precision(queries.device):
            return self.cls_embed(at_least_fp32(queries))

    def losses(
        self,
        mask_features: torch.Tensor,
        levels: Sequence[torch.Tensor],
        gt_labels: Sequence[torch.Tensor],
        gt_masks: Sequence[torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        """Returns mmdet's losses of all decoder layers.

        The frames of a clip are one image for them, one below the other.

        Args:
            mask_features, levels: as of ``forward``.
            gt_labels: B tensors [G].
            gt_masks: B tensors [G, T, H, W] bool, padded like the batch.
        """
        outputs = self(mask_features, levels)
        with full_precision(mask_features.device):
            return self.loss(
                [self.class_logits(queries) for queries in outputs],
                [self.mask_logits(queries, mask_features).flatten(2, 3) for queries in outputs],
                list(gt_labels),
                [masks.flatten(1, 2) for masks in gt_masks],
                [None] * len(gt_masks),  # mmdet's losses have no use for metas
            )

    def forward_train(
        self,
        mask_features: torch.Tensor,
        levels: Sequence[torch.Tensor],
        batch: Annotations,
        size: Sequence[int],
    ) -> dict[str, torch.Tensor]:
        """Returns the losses of a batch, each frame by itself.

        Args:
            mask_features, levels: as of ``forward``.
            batch: the annotations of all clips.
            size: (H, W) of the padded batch.
        """
        device = mask_features.device
        masks = [
            frame.pad(tuple(size)).to_tensor(dtype=torch.bool, device=device)[:, None]
            for frame in chain(*batch.masks)
        ]
        mask_features, *levels = (fold_frames(maps)[:, None] for maps in (mask_features, *levels))
        return self.losses(mask_features, levels, list(chain(*batch.labels)), masks)

    def predict(
        self,
        mask_features: torch.Tensor,
        levels: Sequence[torch.Tensor],
        geometry: FrameGeometry,
        frames_per_pass: int,
        config: InferenceConfig,
    ) -> ClipPrediction:
        """Returns the instances of one clip.

        Frames are predicted one by one; each query continues the most similar one of the frame
        before, and its class logits are averaged over the frames (MinVIS).

        Args:
            mask_features: [1, T, C, H, W] of the pixel decoder.
            levels: [1, T, C, h, w] each of the pixel decoder, the coarsest first.
            geometry: of the clip's frames.
            frames_per_pass: frames that are decoded at a time.
            config: the number of instances and the threshold of masks.
        """
        single_frames = [maps[0, :, None] for maps in (mask_features, *levels)]  # T clips
        parts = zip(*(maps.split(frames_per_pass) for maps in single_frames))
        queries = torch.cat([self(features, rest)[-1] for features, *rest in parts])  # [T, Q, C]
        with full_precision(queries.device):
            order = align_queries(queries)
        order = torch.from_numpy(order).to(queries.device)
        queries = queries.gather(1, order[..., None].expand_as(queries))
        class_logits = self.class_logits(queries).mean(0)
        features = geometry.crop_to_image(single_frames[0], MASK_STRIDE)

        def mask_logits(chosen: torch.Tensor) -> torch.Tensor:
            return self.mask_logits(queries[:, chosen], features)[:, :, 0].transpose(0, 1)

        return clip_prediction(class_logits, mask_logits, queries.transpose(0, 1), geometry, config)


def clip_prediction(
    class_logits: torch.Tensor,
    mask_logits: Callable[[torch.Tensor], torch.Tensor],
    embeddings: torch.Tensor,
    geometry: FrameGeometry,
    config: InferenceConfig,
) -> ClipPrediction:
    """Returns the best instances of a clip.

    Args:
        class_logits: [Q, K + 1].
        mask_logits: indices [N] of queries -> [N, T, h, w] over the part that is image.
        embeddings: [Q, C] or [Q, T, C].
        geometry: of the clip's frames.
        config: the number of instances and the threshold of masks.
    """
    probabilities = class_logits.softmax(-1)[:, :-1]
    scores, chosen, labels = best_pairs(probabilities, config)
    logits = mask_logits(chosen)
    cells = geometry.cells(logits, MASK_STRIDE)
    masks = ResizedMasks(logits, geometry.original, config.mask_threshold, cells)
    return ClipPrediction(
        queries=chosen,
        labels=labels,
        scores=scores,
        class_scores=probabilities[chosen],
        boxes=mask_extents(logits > masks.threshold_logit, geometry.original, cells),
        masks=masks,
        embeddings=embeddings[chosen],
    )


def as_cells(maps: torch.Tensor) -> torch.Tensor:
    """Returns maps [B, T, C, h, w] as cells [B, T * h * w, C].

    Example:
        >>> as_cells(torch.zeros(2, 3, 5, 4, 6)).shape
        torch.Size([2, 72, 5])
    """
    return maps.flatten(3).transpose(2, 3).flatten(1, 2)


def resize_maps(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Returns maps [B, T, C, H, W] resized bilinearly to [B, T, C, *size].

    Example:
        >>> resize_maps(torch.tensor([[[[[0.0, 1.0], [0.0, 1.0]]]]]), (1, 1)).tolist()
        [[[[[0.5]]]]]
    """
    frames = F.interpolate(fold_frames(maps), tuple(size), mode='bilinear', align_corners=False)
    return unfold_frames(frames, len(maps))
