"""Builds models with random weights and videos of noise, to test a device with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mmcv
import numpy as np
import torch
import torch.distributed as dist
from mmcv import Config
from mmcv.cnn.bricks import DropPath
from mmdet.core import BitmapMasks

from tevit_vis.models.detectors import ClipDetector
from tevit_vis.utils.config import load_config

from .build import build_without_pretraining, init_model, init_random_weights
from .runner import TrainingModel

SMALL_CONFIGS = {  # a small config of each system
    'TeViT': 'synthetic/tevit_tiny',
    'SeqFormer': 'synthetic/seqformer_tiny',
    'IFC': 'synthetic/ifc_tiny',
    'MS-STS': 'synthetic/ms_sts_tiny',
    'Mask2Former': 'synthetic/mask2former_tiny',
}

FULL_CONFIGS = {  # a config of each system in full size
    'TeViT': 'tevit/tevit_msgshift',
    'SeqFormer': 'seqformer/seqformer_r50_ytvis19',
    'IFC': 'ifc/ifc_r50_ytvis19',
    'MS-STS': 'ms_sts/ms_sts_r50_ytvis19',
    'Mask2Former': 'mask2former/mask2former_r50_coco',
}

SMALL_SIZE = (96, 160)  # (H, W) of the frames for small models


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allows or forbids TF32 in matrix products and convolutions of a GPU, while it lasts."""
    flags: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [flag.allow_tf32 for flag in flags]
    for flag in flags:
        flag.allow_tf32 = allowed
    try:
        yield
    finally:
        for flag, value in zip(flags, before):
            flag.allow_tf32 = value


def noise_video(num_frames: int, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Returns a video [T, H, W, 3] (uint8) of smooth coloured noise that moves to the right.

    Args:
        size: (H, W).

    Example:
        >>> noise_video(2, (32, 64)).shape
        (2, 32, 64, 3)
    """
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (size[0] // 16 + 2, size[1] // 16 + 2, 3), np.uint8)
    image = mmcv.imresize(small, size[::-1], interpolation='bicubic')
    return np.stack([np.roll(image, 3 * t, axis=1) for t in range(num_frames)])


def random_model(name: str, device: torch.device, **options: Any) -> ClipDetector:
    """Returns a model for inference with random weights, the same on every device.

    Args:
        options: arguments of ``init_model``.
    """
    torch.manual_seed(0)
    return init_model(name, device=str(device), **options)


def random_batch(num_clips: int, num_frames: int, size: tuple[int, int]) -> dict[str, Any]:
    """Returns a training batch: frames of noise, annotated with two moving squares in each clip.

    Args:
        size: (H, W), multiples of 32.

    Returns:
        The arguments of ``ClipDetector.forward_train``.
    """
    height, width = size
    side = height // 3
    batch: dict[str, Any] = {
        name: [] for name in ('img_metas', 'gt_bboxes', 'gt_labels', 'gt_masks', 'gt_ids')
    }
    for clip in range(num_clips):
        corners = [
            [(8 + 4 * t + clip, 8 + clip), (width // 2 - 2 * t, height // 3)]
            for t in range(num_frames)
        ]
        bits = np.zeros((num_frames, 2, height, width), np.uint8)
        for t, places in enumerate(corners):
            for n, (x, y) in enumerate(places):
                bits[t, n, y : y + side, x : x + side] = 1
        boxes = [[[x, y, x + side, y + side] for x, y in places] for places in corners]
        batch['img_metas'].append([dict(img_shape=(height, width, 3))] * num_frames)
        batch['gt_bboxes'].append(list(torch.tensor(boxes, dtype=torch.float32)))
        batch['gt_labels'].append([torch.tensor([0, 1])] * num_frames)
        batch['gt_masks'].append([BitmapMasks(masks, height, width) for masks in bits])
        batch['gt_ids'].append([torch.tensor([0, 1])] * num_frames)
    generator = torch.Generator().manual_seed(0)
    batch['img'] = torch.randn(num_clips, num_frames, 3, height, width, generator=generator)
    return batch


def random_training_model(name: str, device: torch.device, amp: str | None = None) -> TrainingModel:
    """Returns a model to train, with random weights, the same on every device."""
    config: Config = load_config(name)
    torch.manual_seed(0)
    detector = build_without_pretraining(config)
    init_random_weights(detector)
    for module in detector.modules():  # dropout's random numbers depend on the device
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
        elif isinstance(module, DropPath):
            module.drop_prob = 0.0
    return TrainingModel(detector, device, amp, distributed=dist.is_initialized()).train()
