"""Adversarial loss of foreground and background.

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
    """A discriminator's loss, and what a detector loses for masks that it sees through.

    Both come from one forward, for one backward: the discriminator's has detached inputs, the
    detector's sees the discriminator's weights detached, so each reaches its own weights alone.
    Clips without an instance, and padding, have no part.

    Args:
        feature_channels: of the detector's encoded features.
        block_channels: of ``PatchDiscriminator``.
        loss_weight: of the detector's part.
    """

    def __init__(
        self, feature_channels: int, block_channels: Sequence[int], loss_weight: float
    ) -> None:
        super().__init__()
        self.discriminator = PatchDiscriminator(feature_channels, block_channels)
        self.loss_weight = loss_weight

    def forward(self, img: torch.Tensor, outputs: TrainOutputs) -> dict[str, torch.Tensor]:
        """``loss_adversarial`` of the detector and ``loss_discriminator``, means over patches.

        Args:
            img: [B, T, 3, H, W], normalised.
            outputs: of the detector, with the masks of its last decoder layer.
        """
        maps = [fold_frames(level) for level in outputs.feature_maps]
        size, patches = maps[0].shape[2:], maps[-1].shape[2:]
        frames = F.adaptive_avg_pool2d(fold_frames(img), size)
        true = foreground([clip.masks.to(img) for clip in outputs.gt_tubes], img, size)
        soft = foreground([logits.to(img).sigmoid() for logits in outputs.pred_masks], img, size)

        on_image = F.adaptive_avg_pool2d((~fold_frames(outputs.padding)[:, None]).to(img), patches)
        occupied = torch.tensor([len(clip) > 0 for clip in outputs.gt_tubes], device=img.device)
        in_clip = occupied.repeat_interleave(img.shape[1])[:, None, None, None]
        counted = ((on_image > 0) & in_clip).to(img)
        total = reduce_mean(counted.sum()).clamp(min=1)

        def mean(losses: torch.Tensor) -> torch.Tensor:
            return (losses * counted).sum() / total

        detached = [level.detach() for level in maps]
        on_true = self.discriminator(frames, true, detached).to(img)
        on_soft = self.discriminator(frames, soft.detach(), detached).to(img)
        fooled = self._judged(frames, soft, maps).to(img)
        return dict(
            loss_adversarial=self.loss_weight * mean(F.softplus(-fooled)),
            loss_discriminator=mean(F.softplus(-on_true) + F.softplus(on_soft)) / 2,
        )

    def _judged(self, *inputs) -> torch.Tensor:
        """The discriminator's logits, whose gradient does not reach its weights."""
        weights = {name: value.detach() for name, value in self.discriminator.named_parameters()}
        return functional_call(self.discriminator, weights, inputs)


def foreground(
    masks: Sequence[torch.Tensor], img: torch.Tensor, size: Sequence[int]
) -> torch.Tensor:
    """The union of each clip's masks, as shares of larger cells: [B*T, 1, *size].

    Args:
        masks: B times [N, T, h, w] in 0..1, N of any number.
        img: [B, T, ...], for its number of frames.
        size: (height, width) in cells, at most that of the masks.
    """
    unions = []
    for clip in masks:
        nothing = clip.new_zeros(1, *clip.shape[1:])
        union = torch.cat([nothing, clip]).amax(0)  # [T, h, w]
        unions.append(F.adaptive_avg_pool2d(union[:, None], size))
    return torch.cat(unions)
