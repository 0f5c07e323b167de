"""The contract that every system fulfils: features of frames, then predictions of clips.

Letters: B clips, T frames, C channels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from mmdet.core import BitmapMasks
from mmdet.models.detectors import BaseDetector

from tevit_vis.layers.clip_ops import fold_frames, unfold_frames
from tevit_vis.layers.roi_align import roi_memory_format
from tevit_vis.models.backbones import TemporalBackbone
from tevit_vis.structures import ClipPrediction
from tevit_vis.utils.errors import whole_number

FRAMES_PER_PASS = 2  # default of test_cfg.frames_per_pass


class ClipDetector(BaseDetector):
    """A detector over clips.

    Inference is ``extract_feat`` and then ``predict_clip``, so that the same code serves whole
    videos, windows and streams. Subclasses set ``backbone``, ``neck`` and ``test_cfg``.

    ``test_cfg.frames_per_pass`` frames at a time go through backbone and neck: it bounds the
    memory of a long video and changes results by rounding only.
    """

    tells_what_it_compared = False  # whether there is supervise(), which adversaries need

    @property
    def frames_are_independent(self) -> bool:
        """Whether the features of a frame may be reused in another clip."""
        return not isinstance(self.backbone, TemporalBackbone)

    @property
    def frames_per_pass(self) -> int:
        """Frames that go through backbone and neck at a time at inference."""
        value = (self.test_cfg or {}).get('frames_per_pass', FRAMES_PER_PASS)
        return whole_number('model.test_cfg.frames_per_pass', value, least=1)

    def extract_feat(self, img: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Feature maps of clips.

        Args:
            img: [B, T, 3, H, W], normalised and padded.

        Returns:
            One [B, T, C, H_l, W_l] per level.
        """
        num_clips, num_frames = img.shape[:2]
        frames = fold_frames(img)
        frames_per_pass = len(frames) if self.training else self.frames_per_pass
        if self.frames_are_independent:
            maps = by_parts(
                lambda part: self._neck_maps(self.backbone(part)), [frames], frames_per_pass
            )
        else:
            maps = self.backbone(frames, num_frames, frames_per_pass)
            maps = by_parts(lambda *part: self._neck_maps(part), maps, frames_per_pass)
        return tuple(unfold_frames(level, num_clips) for level in maps)

    def _neck_maps(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        memory_format = roi_memory_format(maps[0].device)
        return [level.contiguous(memory_format=memory_format) for level in self.neck(maps)]

    @abstractmethod
    def predict_clip(
        self, features: Sequence[torch.Tensor], metas: Sequence[dict]
    ) -> ClipPrediction:
        """The instances of one clip.

        Args:
            features: [1, T, C, H_l, W_l] each, of ``extract_feat``.
            metas: T dicts with ``img_shape``, ``pad_shape``, ``ori_shape`` and ``scale_factor``.
        """

    @abstractmethod
    def forward_train(
        self,
        img: torch.Tensor,
        img_metas: Sequence[Sequence[dict]],
        gt_bboxes: Sequence[Sequence[torch.Tensor]],
        gt_labels: Sequence[Sequence[torch.Tensor]],
        gt_masks: Sequence[Sequence[BitmapMasks]],
        gt_ids: Sequence[Sequence[torch.Tensor]],
    ) -> dict[str, torch.Tensor]:
        """Losses of a batch of clips.

        Args:
            img: [B, T, 3, H, W], normalised and padded.
            img_metas: B lists of T dicts with ``img_shape``.
            gt_bboxes: B lists of T tensors [G, 4], x1 y1 x2 y2 in pixels of the network input.
            gt_labels: B lists of T tensors [G].
            gt_masks: B lists of T masks, padded like ``img``.
            gt_ids: B lists of T tensors [G], equal for an instance in all frames of its clip.
        """

    def simple_test(self, *args, **kwargs):
        """mmdet's entry for images, which says where clips go instead."""
        raise NotImplementedError(
            f'{type(self).__name__} predicts clips by extract_feat and predict_clip; '
            'videos by tevit_vis.apis.inference_video'
        )

    aug_test = simple_test


def by_parts(
    function: Callable, inputs: Sequence[torch.Tensor], frames_per_pass: int
) -> list[torch.Tensor]:
    """Apply a per-frame function to a few frames at a time.

    Args:
        function: takes the parts of ``inputs``, returns a sequence of tensors [n, ...].
        inputs: [N, ...] each.

    Returns:
        What ``function`` would return for the whole ``inputs``; without gradient when N is more
        than ``frames_per_pass``.
    """
    num_frames = len(inputs[0])
    if num_frames <= frames_per_pass:
        return list(function(*inputs))
    outputs: list[torch.Tensor] = []
    for start in range(0, num_frames, frames_per_pass):
        part = slice(start, start + frames_per_pass)
        results = function(*(tensor[part] for tensor in inputs))
        # Written in place: joined afterwards, the features of a long video would be held twice.
        outputs = outputs or [_like_whole(result, num_frames) for result in results]
        for output, result in zip(outputs, results):
            output[part] = result
    return outputs


def _like_whole(part: torch.Tensor, num_frames: int) -> torch.Tensor:
    """Room for all frames in the memory format of a part [n, C, H, W]."""
    channels_last = part.is_contiguous(memory_format=torch.channels_last)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(
        (num_frames, *part.shape[1:]),
        dtype=part.dtype,
        device=part.device,
        memory_format=memory_format,
    )
