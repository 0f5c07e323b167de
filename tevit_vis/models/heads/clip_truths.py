"""Ground truth by frame, as the data gives it, as instances of the clip.

Letters: B clips, T frames, I instances of a clip, G annotations of all its frames, G_t of one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmdet.core import BitmapMasks, bbox_xyxy_to_cxcywh, reduce_mean

from tevit_vis.layers.clip_ops import ClipPadding, constant
from tevit_vis.models.assigners.matching import on_device
from tevit_vis.structures import ClipTruths, Tubes

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
    device = bboxes[0].device
    known, on_host = number_instances(ids)
    frame_of = np.repeat(np.arange(len(ids)), [len(frame_ids) for frame_ids in ids])
    frames, instances = on_device([frame_of, on_host], device)
    height, width = img_shape[:2]
    scale = constant((width, height, width, height), bboxes[0].dtype, device)
    clip_labels = torch.zeros(known, dtype=torch.long, device=device)
    clip_labels[instances] = torch.cat(list(labels))
    boxes = torch.zeros(len(ids), known, 4, dtype=bboxes[0].dtype, device=device)
    boxes[frames, instances] = bbox_xyxy_to_cxcywh(torch.cat(list(bboxes))) / scale
    bits = np.zeros((known, len(ids), *size), bool)
    for t, frame_masks in enumerate(masks):
        places = on_host[frame_of == t]
        bits[places, t, : frame_masks.height, : frame_masks.width] = frame_masks.masks
    on_its_device = torch.from_numpy(bits).to(device, non_blocking=True)
    return Tubes(clip_labels, boxes.clamp(min=OUT_OF_SIGHT), on_its_device)


def number_instances(ids: Sequence[torch.Tensor]) -> tuple[int, np.ndarray]:
    """The number of instances of a clip, and which one each annotation belongs to.

    Args:
        ids: T times [G_t], equal for an instance in all frames.

    Returns:
        I, and numbers [G] from 0 to I - 1 in the order of the ids, frame after frame.

    Example:
        >>> count, numbers = number_instances([torch.tensor([7, 3]), torch.tensor([7])])
        >>> count, numbers.tolist()
        (2, [1, 0, 1])
    """
    known, numbers = np.unique(torch.cat(list(ids)).cpu().numpy(), return_inverse=True)
    return len(known), numbers.reshape(-1)


def gather_annotations(
    bboxes: Sequence[torch.Tensor],
    labels: Sequence[torch.Tensor],
    masks: Sequence[BitmapMasks],
    ids: Sequence[torch.Tensor],
) -> ClipTruths:
    """The annotations of a clip's frames one after the other.

    Args:
        bboxes: T times [G_t, 4], x1 y1 x2 y2 in pixels of the network input.
        labels: T times [G_t].
        masks: T times G_t masks of one size.
        ids: T times [G_t], equal for an instance in all frames.
    """
    device = bboxes[0].device
    count, on_host = number_instances(ids)
    num_frames = np.bincount(on_host, minlength=count)
    instances, frames = on_device([on_host, num_frames], device)
    bits = torch.from_numpy(np.concatenate([frame.masks for frame in masks]))
    return ClipTruths(
        bboxes=torch.cat(list(bboxes)),
        labels=torch.cat(list(labels)),
        masks=bits.to(device, non_blocking=True),
        instances=instances,
        num_frames=frames.float(),
        per_frame=[len(frame_ids) for frame_ids in ids],
        on_host=on_host,
    )


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
    count = torch.full((), float(sum(map(len, tubes))), device=device)
    return reduce_mean(count).clamp(min=1)


def layers_of_pairs(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], num_clips: int, device: torch.device
) -> list[list[tuple[torch.Tensor, torch.Tensor]]]:
    """Pairs of ``matching.solve``, layer after layer and clip after clip, on the device.

    Returns:
        For each layer, for each clip: queries and instances, int64.
    """
    tensors = on_device([side for pair in pairs for side in pair], device)
    clips = list(zip(tensors[::2], tensors[1::2]))
    return [clips[start : start + num_clips] for start in range(0, len(clips), num_clips)]


def name_layer_losses(layers: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The losses of all decoder layers: plain names for the last, ``<name>_<layer>`` before."""
    named = {
        f'{name}_{number}': value
        for number, losses in enumerate(layers[:-1])
        for name, value in losses.items()
    }
    return {**named, **layers[-1]}
