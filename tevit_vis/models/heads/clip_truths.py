"""Ground truth by frame, as the data gives it, as instances of the clip.

Letters: B clips, T frames, I instances of a clip, G instances of a frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmdet.core import BitmapMasks, bbox_xyxy_to_cxcywh, reduce_mean

from tevit_vis.layers.clip_ops import ClipPadding
from tevit_vis.structures import Tubes

OUT_OF_SIGHT = 1e-6  # centre, width and height of a box where there is none


def gather_tubes(
    bboxes: Sequence[torch.Tensor],
    labels: Sequence[torch.Tensor],
    masks: Sequence[BitmapMasks],
    ids: Sequence[torch.Tensor],
    img_shape: Sequence[int],
    size: Sequence[int],
) -> Tubes:
    """The instances of a clip, in the order of their ids.

    PARITY(SeqFormer): an instance out of sight in a frame is not left out there, but has a box of
    1e-6 and an empty mask.

    Args:
        bboxes: T times [G, 4], x1 y1 x2 y2 in pixels of the network input.
        labels: T times [G].
        masks: T times G masks, padded like the clip.
        ids: T times [G], equal for an instance in all frames.
        img_shape: (H, W, ...) of the clip before padding.
        size: (H, W) of the padded batch.
    """
    known = torch.cat(list(ids)).unique()
    num_frames = len(ids)
    clip_labels = known.new_zeros(len(known))
    boxes = bboxes[0].new_zeros(num_frames, len(known), 4)
    bits = np.zeros((len(known), num_frames, *size), bool)
    height, width = img_shape[:2]
    scale = boxes.new_tensor([width, height, width, height])
    for t, frame_ids in enumerate(ids):
        place = torch.searchsorted(known, frame_ids)
        clip_labels[place] = labels[t]
        boxes[t, place] = bbox_xyxy_to_cxcywh(bboxes[t]) / scale
        frame_masks = masks[t]
        bits[place.cpu().numpy(), t, : frame_masks.height, : frame_masks.width] = frame_masks.masks
    return Tubes(clip_labels, boxes.clamp(min=OUT_OF_SIGHT), torch.from_numpy(bits))


def gather_batch(
    img_metas: Sequence[Sequence[dict]],
    gt_bboxes: Sequence[Sequence[torch.Tensor]],
    gt_labels: Sequence[Sequence[torch.Tensor]],
    gt_masks: Sequence[Sequence[BitmapMasks]],
    gt_ids: Sequence[Sequence[torch.Tensor]],
    size: Sequence[int],
) -> list[Tubes]:
    """The instances of each clip of a batch, whose frames are of one size within a clip.

    Args:
        img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids: as of ``ClipDetector.forward_train``.
        size: (H, W) of the padded batch.
    """
    img_shapes = [metas[0]['img_shape'] for metas in img_metas]
    return [
        gather_tubes(*clip, size)
        for clip in zip(gt_bboxes, gt_labels, gt_masks, gt_ids, img_shapes)
    ]


def batch_padding(
    img_metas: Sequence[Sequence[dict]], shape: Sequence[int], stride: int, device: torch.device
) -> ClipPadding:
    """The padding of a batch of clips.

    Args:
        img_metas: B lists of T dicts with ``img_shape``.
        shape: (H, W) of the network input, in cells.
        stride: pixels along a cell.
    """
    sizes = [[tuple(meta['img_shape'][:2]) for meta in metas] for metas in img_metas]
    return ClipPadding.of_sizes(sizes, tuple(shape), stride, device)


def instance_count(tubes: Sequence[Tubes], device: torch.device) -> torch.Tensor:
    """Instances of a batch, the mean over all processes, at least 1: what losses are divided by.

    PARITY(SeqFormer, IFC): an instance counts once, in one frame or in many.
    """
    return reduce_mean(torch.tensor(float(sum(map(len, tubes))), device=device)).clamp(min=1)


def name_layer_losses(layers: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The losses of all decoder layers: plain names for the last, ``<name>_<layer>`` before."""
    named = {
        f'{name}_{number}': value
        for number, losses in enumerate(layers[:-1])
        for name, value in losses.items()
    }
    return {**named, **layers[-1]}
