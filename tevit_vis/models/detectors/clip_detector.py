"""The base class of all detectors: features of frames first, then predictions of clips.

Letters: B clips, T frames, C channels, G annotations of a frame.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from mmdet.core import BitmapMasks
from mmdet.models.detectors import BaseDetector

from tevit_vis.inference_config import InferenceConfig
from tevit_vis.layers.clip_ops import fold_frames, unfold_frames
from tevit_vis.layers.exporting import is_exporting
from tevit_vis.layers.roi_align import roi_memory_format
from tevit_vis.models.backbones import TemporalBackbone
from tevit_vis.structures import ClipPrediction
from tevit_vis.utils.devices import how_many_fit

# Defaults of test_cfg.frames_per_pass: a CPU is fastest with few frames, a GPU with many.
CPU_FRAMES_PER_PASS, GPU_FRAMES_PER_PASS = 2, 32
COMPILED_FRAMES_PER_PASS = 8  # short clips and windows are padded to so many frames
BYTES_PER_PIXEL = 2048  # generous estimate of a frame's memory in backbone, neck and encoder
MEMORY_PART = 0.25  # part of a GPU's free memory that one pass may use


class ClipDetector(BaseDetector):
    """A detector over clips.

    Inference is ``extract_feat`` and then ``predict_clip``, so that the same code serves whole
    videos, windows and streams. Subclasses set ``backbone``, ``neck`` and ``test_cfg``.

    ``test_cfg.frames_per_pass`` frames at a time go through backbone and neck: it bounds the
    memory of a long video and changes results by rounding only. Where it is None, the device and
    its free memory decide.
    """

    # Keys of sections that have no type: see ``utils/config_keys.py``.
    config_sections: ClassVar = {
        'test_cfg': (
            *('frames_per_pass', 'windows', 'tracker', 'drop_empty', 'min_mask_score'),
            *('max_per_img', 'mask_thr_binary'),
        )
    }
    head_name: ClassVar[str] = 'bbox_head'  # config key of the head that has ``num_classes``
    amp_dtype: torch.dtype | None = None  # dtype of the network at inference, see ``amp``
    with_compiled_parts = False  # whether torch.compile made kernels for parts of one fixed size
    supports_adversary = False  # whether it has train_outputs(), which an adversarial loss needs

    @property
    def frames_are_independent(self) -> bool:
        """Whether the features of a frame may be reused in another clip."""
        return not isinstance(self.backbone, TemporalBackbone)

    @property
    def inference_config(self) -> InferenceConfig:
        """The checked ``test_cfg``; it is read each time, since callers may change it.

        Raises:
            InputError: a value is not allowed.
        """
        return InferenceConfig.of(self.test_cfg)

    def frames_per_pass(self, size: Sequence[int]) -> int:
        """Frames that go through backbone and neck at a time at inference.

        Args:
            size: (H, W) of the network input.
        """
        value = self.inference_config.frames_per_pass
        if value is not None:
            return value
        chosen = self._cached_default('frames_per_pass', size[0] * size[1])
        return min(chosen, COMPILED_FRAMES_PER_PASS) if self.with_compiled_parts else chosen

    def _cached_default(self, name: str, pixels: int) -> int:
        """Returns the default of ``test_cfg[name]``, chosen once for each frame size and device.

        It is not chosen again, since a GPU has less free memory after the first pass: torch keeps
        what it has used.
        """
        chosen = self.__dict__.setdefault('_chosen_defaults', {})
        device = next(self.parameters()).device
        if (name, pixels, device) not in chosen:
            chosen[name, pixels, device] = self._choose_default(name, pixels, device)
        return chosen[name, pixels, device]

    def _choose_default(self, name: str, pixels: int, device: torch.device) -> int:
        """Returns the default of ``test_cfg[name]`` for frames of ``pixels`` pixels on a device."""
        if device.type == 'cpu':
            return CPU_FRAMES_PER_PASS
        return how_many_fit(
            device, pixels * BYTES_PER_PIXEL, least=1, most=GPU_FRAMES_PER_PASS, part=MEMORY_PART
        )

    def timed_parts(self) -> dict[str, list[torch.nn.Module]]:
        """Returns the modules that ``tevit-vis benchmark`` measures, by the name of their part."""
        return {'backbone': [self.backbone], 'neck': [self.neck]}

    def compiled_parts(self) -> list[torch.nn.Module]:
        """Returns the parts that work on single frames, or on a clip, of fixed sizes."""
        return [self.backbone, self.neck]

    def compile_parts(self) -> None:
        """Compiles ``compiled_parts`` with torch.compile, for frames of fixed sizes."""
        for part in self.compiled_parts():
            part.compile(dynamic=False)
        self.with_compiled_parts = True

    def extract_feat(self, img: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Feature maps of clips.

        Args:
            img: [B, T, 3, H, W], normalised and padded.

        Returns:
            One [B, T, C, H_l, W_l] per level.
        """
        num_clips, num_frames = img.shape[:2]
        frames = fold_frames(img)
        frames_per_pass = frames.shape[0] if self.training else self.frames_per_pass(img.shape[3:])
        if self.frames_are_independent:
            maps = apply_by_parts(
                lambda part: self._neck_maps(self.backbone(part)),
                [frames],
                frames_per_pass,
                fill=self.with_compiled_parts,
            )
        else:
            maps = self.backbone(frames, num_frames, frames_per_pass)
            maps = apply_by_parts(lambda *part: self._neck_maps(part), maps, frames_per_pass)
        return tuple(unfold_frames(level, num_clips) for level in maps)

    def _neck_maps(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Returns the neck's maps in the memory format that ``extract_roi_feats`` reads."""
        memory_format = roi_memory_format(maps[0].device)
        return [level.contiguous(memory_format=memory_format) for level in self.neck(maps)]

    @abstractmethod
    def predict_clip(
        self, features: Sequence[torch.Tensor], metas: Sequence[dict]
    ) -> ClipPrediction:
        """Returns the predicted instances of one clip.

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

    def forward_test(self, *args, **kwargs):
        """Raises an error that names the functions for clips; mmdet calls this for images."""
        raise NotImplementedError(
            f'{type(self).__name__} predicts clips by extract_feat and predict_clip; '
            'videos by tevit_vis.apis.inference_video'
        )

    simple_test = aug_test = forward_test


def apply_by_parts(
    function: Callable, inputs: Sequence[torch.Tensor], frames_per_pass: int, fill: bool = False
) -> list[torch.Tensor]:
    """Applies a per-frame function to a few frames at a time.

    Args:
        function: takes n frames of each input and returns a sequence of tensors [n, ...].
        inputs: [N, ...] each.
        frames_per_pass: the largest n.
        fill: whether to repeat the last frame until the last part is as long as the others.

    Returns:
        What ``function`` would return for the whole ``inputs``; without gradient when N is more
        than ``frames_per_pass``.

    Example:
        >>> apply_by_parts(lambda part: [part * 2], [torch.arange(3)], frames_per_pass=2)
        [tensor([0, 2, 4])]
    """
    if is_exporting():  # a graph takes all frames at once, however many there are
        return list(function(*inputs))
    num_frames = len(inputs[0])
    if num_frames == frames_per_pass or (num_frames < frames_per_pass and not fill):
        return list(function(*inputs))
    outputs: list[torch.Tensor] = []
    for start in range(0, num_frames, frames_per_pass):
        part = slice(start, min(start + frames_per_pass, num_frames))
        parts = [tensor[part] for tensor in inputs]
        if fill:
            parts = [_repeat_last_frame(tensor, frames_per_pass) for tensor in parts]
        results = function(*parts)
        # Written in place: joining the parts would keep a long video's features in memory twice.
        outputs = outputs or [_empty_for_all_frames(result, num_frames) for result in results]
        for output, result in zip(outputs, results):
            output[part] = result[: len(output[part])]
    return outputs


def _repeat_last_frame(part: torch.Tensor, num_frames: int) -> torch.Tensor:
    """Returns [num_frames, ...]: a part [n, ...] whose last frame is repeated."""
    return torch.cat([part, part[-1:].expand(num_frames - len(part), *part.shape[1:])])


def _empty_for_all_frames(part: torch.Tensor, num_frames: int) -> torch.Tensor:
    """Returns an empty tensor [num_frames, ...] in the memory format of a part [n, ...]."""
    channels_last = part.is_contiguous(memory_format=torch.channels_last)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(
        (num_frames, *part.shape[1:]),
        dtype=part.dtype,
        device=part.device,
        memory_format=memory_format,
    )
