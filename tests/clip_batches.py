"""Training batches and metas of clips."""

import numpy as np
import torch
from mmdet.core import BitmapMasks


def batch(counts, height=64, width=128):
    """Clips with so many instances in each frame; the second clip is narrower."""
    generator = torch.Generator().manual_seed(0)
    clips = {name: [] for name in ('img_metas', 'gt_bboxes', 'gt_labels', 'gt_masks', 'gt_ids')}
    for index, frames in enumerate(counts):
        shape = (height, width - 64 * (index % 2), 3)
        boxes = [torch.rand(n, 2, 2, generator=generator).sort(1).values for n in frames]
        size = torch.tensor([shape[1], height])
        bits = [np.zeros((n, *shape[:2]), np.uint8) for n in frames]
        for masks in bits:
            masks[:, 10:30, 10:30] = 1
        clips['img_metas'].append([dict(img_shape=shape) for _ in frames])
        clips['gt_bboxes'].append([(b * size).flatten(1) for b in boxes])
        clips['gt_labels'].append([torch.arange(n) % 5 for n in frames])
        clips['gt_masks'].append([BitmapMasks(m, *shape[:2]) for m in bits])
        clips['gt_ids'].append([torch.arange(n) for n in frames])
    img = torch.randn(len(counts), len(counts[0]), 3, height, width, generator=generator)
    return dict(img=img, **clips)


def make_metas(count, height=64, width=96, scale=1.0):
    shape = (height, width, 3)
    return [
        dict(
            img_shape=shape,
            pad_shape=shape,
            ori_shape=(round(height / scale), round(width / scale), 3),
            scale_factor=np.full(4, scale, np.float32),
        )
        for _ in range(count)
    ]
