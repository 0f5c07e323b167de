"""MsgShifT: mmdet's PVTv2 with messengers that carry information between frames.

Yang et al., "Temporally Efficient Vision Transformer for Video Instance Segmentation",
CVPR 2022, section 3.2.

Letters: B clips, T frames, N = B*T folded frames, S = H*W patches, M messengers, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn.utils.weight_init import trunc_normal_
from mmcv.runner import CheckpointLoader
from mmdet.models.backbones import PyramidVisionTransformerV2
from mmdet.models.builder import BACKBONES
from mmdet.models.utils import pvt_convert
from torch import nn

from tevit_vis.layers.clip_ops import fold_frames, unfold_frames
from tevit_vis.layers.exporting import split_parts
from tevit_vis.layers.messenger import (
    SHIFT_STRIDES,
    convolve_constant_images,
    map_to_tokens,
    messenger_block,
    shift_messengers,
    tokens_to_map,
)
from tevit_vis.utils.values import check_whole_number

from .temporal import TemporalBackbone


@BACKBONES.register_module()
class MsgShifT(PyramidVisionTransformerV2, TemporalBackbone):
    """PVTv2 whose blocks also carry M messengers per frame, shifted along time after each block.

    Args:
        num_msg_tokens: M; learned tokens in pixel space, repeated for each frame.
        shift_strides: frames that each group of messengers moves in even blocks.
        in_channels: of the frames.
        frozen_stages: number of first stages that are not trained, as in mmdet's other backbones.
            If all stages are frozen, the messengers are not trained either.
        kwargs: of ``PyramidVisionTransformerV2``; its ``init_cfg`` may name a PVTv2 checkpoint.
    """

    def __init__(
        self,
        num_msg_tokens: int = 32,
        shift_strides: Sequence[int] = SHIFT_STRIDES,
        in_channels: int = 3,
        frozen_stages: int = -1,
        **kwargs,
    ) -> None:
        super().__init__(in_channels=in_channels, **kwargs)
        self.num_frozen = check_whole_number(
            'model.backbone.frozen_stages', frozen_stages, least=-1
        )
        self.shift_strides = tuple(shift_strides)
        self.msg_tokens = nn.Parameter(torch.zeros(1, num_msg_tokens, in_channels))
        for stage in self.frozen_stages():
            stage.requires_grad_(False)
        self.msg_tokens.requires_grad_(len(self.frozen_stages()) < len(self.layers))

    def frozen_stages(self) -> list[nn.Module]:
        """Returns the stages that are not trained."""
        return list(self.layers[: max(0, self.num_frozen)])

    def train(self, mode: bool = True) -> MsgShifT:
        """See ``nn.Module.train``; frozen stages stay in eval mode, without drop path."""
        super().train(mode)
        for stage in self.frozen_stages():
            stage.eval()
        return self

    def init_weights(self) -> None:
        """Loads PVTv2's weights from ``init_cfg['checkpoint']`` or draws them; draws messengers.

        Raises:
            ValueError: a weight of PVTv2 is missing, unexpected or of another shape.
        """
        if self.init_cfg is None:
            super().init_weights()
        else:
            self._load_pvt(self.init_cfg['checkpoint'])
        trunc_normal_(self.msg_tokens, std=0.02)

    def _load_pvt(self, path: str) -> None:
        checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu')
        weights = checkpoint.get('state_dict', checkpoint.get('model', checkpoint))
        if self.convert_weights:
            weights = pvt_convert(weights)
        weights = {key: value for key, value in weights.items() if not key.startswith('head.')}
        weights['msg_tokens'] = self.msg_tokens.detach()
        try:
            self.load_state_dict(weights)
        except RuntimeError as error:
            faults = '; '.join(line.strip() for line in str(error).splitlines()[1:4])
            raise ValueError(
                f'{path}: weights must be those of this PVTv2, but: {faults}'
            ) from None

    def forward(
        self, frames: torch.Tensor, num_frames: int, frames_per_pass: int
    ) -> list[torch.Tensor]:
        """Feature maps of folded clips: see ``TemporalBackbone.forward``."""
        num_clips = frames.shape[0] // num_frames
        feature_map = frames
        messengers = self.msg_tokens.expand(frames.shape[0], -1, -1)
        maps = []
        for index, (embed, blocks, norm) in enumerate(self.layers):
            # Embed the patches of the last stage's map; the messengers follow them.
            tokens, hw_shape = _embed(embed, feature_map, messengers, frames_per_pass)
            num_patches = hw_shape[0] * hw_shape[1]
            # Run the blocks of the stage and shift the messengers after each of them.
            for depth, block in enumerate(blocks):
                tokens = torch.cat(
                    [
                        messenger_block(block, part, hw_shape)
                        for part in split_parts(tokens, frames_per_pass)
                    ]
                )
                # PARITY(TeViT): with an odd number of blocks, the last one does not shift.
                if depth + 1 < len(blocks) or depth % 2:
                    sign = -1 if depth % 2 else 1
                    strides = [sign * stride for stride in self.shift_strides]
                    tokens = _shift(tokens, num_patches, num_clips, strides)
            # Separate the map of the stage from the messengers.
            tokens = norm(tokens)
            feature_map = tokens_to_map(tokens[:, :num_patches], hw_shape)
            messengers = tokens[:, num_patches:]
            if index in self.out_indices:
                maps.append(feature_map)
        return maps


def _embed(
    embed: nn.Module, feature_map: torch.Tensor, messengers: torch.Tensor, frames_per_pass: int
) -> tuple[torch.Tensor, tuple[int, int]]:
    """Embeds patches: [N, C, H, W] and [N, M, C] -> tokens [N, S' + M, C'] and (H', W')."""
    parts = []
    for part_map, part_messengers in zip(
        split_parts(feature_map, frames_per_pass), split_parts(messengers, frames_per_pass)
    ):
        projected = embed.projection(part_map.contiguous(memory_format=torch.channels_last))
        part_messengers = convolve_constant_images(embed.projection, part_messengers)
        parts.append(embed.norm(torch.cat([map_to_tokens(projected), part_messengers], dim=1)))
    return torch.cat(parts), tuple(projected.shape[2:])


def _shift(
    tokens: torch.Tensor, num_patches: int, num_clips: int, strides: Sequence[int]
) -> torch.Tensor:
    """Returns tokens [N, S + M, C] (patches, messengers) with messengers shifted along clips."""
    patches, messengers = tokens[:, :num_patches], tokens[:, num_patches:]
    shifted = fold_frames(shift_messengers(unfold_frames(messengers, num_clips), strides))
    return torch.cat([patches, shifted], dim=1)
