"""Adversarial loss of foreground masks.

Thawakar et al., "Video Instance Segmentation via Multi-scale Spatio-temporal Split Attention
Transformer", ECCV 2022, section 3.3.

Letters: B clips, T frames, N instances of a clip, C channels, H and W pixels of the network input.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.runner import BaseModule
from mmdet.core import reduce_mean
from mmdet.models.builder import LOSSES
from torch.func import functional_call

from tevit_vis.ground_truth import TrainOutputs
from tevit_vis.layers.clip_ops import fold_frames
from tevit_vis.layers.discriminator import PatchDiscriminator


@LOSSES.register_module()
class AdversarialLoss(BaseModule):
    """The losses of a mask discriminator and of the detector that has to deceive it.

    One forward computes both, and one backward serves both. The discriminator's loss sees detached
    masks and features. The detector's loss sees detached weights of the discriminator. So each loss
    trains its own network only. Clips without an instance and padding are left out.

    Args:
        feature_channels: of the detector's encoded features.
        block_channels: of ``PatchDiscriminator``.
        loss_weight: weight of the detector's loss.
    """

    def __init__(
        self, feature_channels: int, block_channels: Sequence[int], loss_weight: float
    ) -> None:
        super().__init__()
        self.discriminator = PatchDiscriminator(feature_channels, block_channels)
        self.loss_weight = loss_weight

    def forward(self, img: torch.Tensor, outputs: TrainOutputs) -> dict[str, torch.Tensor]:
        """Returns the detector's ``loss_adversarial`` and ``loss_discriminator``, patch means.

        Args:
            img: [B, T, 3, H, W], normalised.
            outputs: of the detector, with the masks of its last decoder layer.
        """
        # Resize frames and foreground masks to the finest features.
        maps = [fold_frames(level) for level in outputs.feature_maps]
        size, patches = maps[0].shape[2:], maps[-1].shape[2:]
        frames = F.adaptive_avg_pool2d(fold_frames(img), size)
        gt = foreground_maps([clip.masks.to(img) for clip in outputs.gt_tubes], size)
        pred = foreground_maps([logits.to(img).sigmoid() for logits in outputs.pred_masks], size)

        # Weight 1 for patches that hold a part of the image, in clips with an instance, else 0.
        image_part = F.adaptive_avg_pool2d(
            (~fold_frames(outputs.padding)[:, None]).to(img), patches
        )
        has_instances = torch.tensor(
            [len(clip) > 0 for clip in outputs.gt_tubes], device=img.device
        )
        has_instances = has_instances.repeat_interleave(img.shape[1])[:, None, None, None]
        weights = ((image_part > 0) & has_instances).to(img)
        num_patches = reduce_mean(weights.sum()).clamp(min=1)

        def mean_over_patches(losses: torch.Tensor) -> torch.Tensor:
            return (losses * weights).sum() / num_patches

        # Judge both masks for the discriminator, and the predicted one for the detector.
        detached_maps = [level.detach() for level in maps]
        gt_logits = self.discriminator(frames, gt, detached_maps).to(img)
        pred_logits = self.discriminator(frames, pred.detach(), detached_maps).to(img)
        detector_logits = self._judge_with_detached_weights(frames, pred, maps).to(img)
        return dict(
            loss_adversarial=self.loss_weight * mean_over_patches(F.softplus(-detector_logits)),
            loss_discriminator=mean_over_patches(F.softplus(-gt_logits) + F.softplus(pred_logits))
            / 2,
        )

    def _judge_with_detached_weights(self, *inputs) -> torch.Tensor:
        """Returns the discriminator's logits, whose gradient does not reach its weights."""
        weights = {name: value.detach() for name, value in self.discriminator.named_parameters()}
        return functional_call(self.discriminator, weights, inputs)


def foreground_maps(masks: Sequence[torch.Tensor], size: Sequence[int]) -> torch.Tensor:
    """Returns the union of each clip's masks, averaged over larger cells: [B*T, 1, *size].

    Args:
        masks: B times [N, T, h, w] in 0..1, N of any number.
        size: (height, width) in cells, at most that of the masks.
    """
    unions = []
    for clip in masks:
        background = clip.new_zeros(1, *clip.shape[1:])  # the union of no instance
        union = torch.cat([background, clip]).amax(0)  # [T, h, w]
        unions.append(F.adaptive_avg_pool2d(union[:, None], size))
    return torch.cat(unions)
