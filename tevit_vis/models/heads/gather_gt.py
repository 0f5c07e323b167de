"""Gathers ground truth from the data loader, which gives it by frame, into instances of clips.

Letters: B clips, T frames, N instances of a clip, G_t annotations of a frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmdet.core import BitmapMasks, bbox_xyxy_to_cxcywh, reduce_mean

from tevit_vis.ground_truth import GtTubes
from tevit_vis.layers.clip_ops import ClipPadding, arrays_to_device, constant

ABSENT_BOX_VALUE = 1e-6  # relative centre, width and height of a box where an instance is absent


def gather_gt_tubes(
    bboxes: Sequence[torch.Tensor],
    labels: Sequence[torch.Tensor],
    masks: Sequence[BitmapMasks],
    ids: Sequence[torch.Tensor],
    img_shape: Sequence[int],
    size: Sequence[int] | None,
) -> GtTubes:
    """Gathers the annotations of a clip's frames into instances, in the order of their ids.

    PARITY(SeqFormer): an instance also has an entry in frames where it is absent: a box of 1e-6 and
    an empty mask. Costs and losses that leave those frames out read ``present``.

    Args:
        bboxes: T times [G_t, 4], x1 y1 x2 y2 in pixels of the network input.
        labels: T times [G_t].
        masks: T times G_t masks, padded like the clip.
        ids: T times [G_t], equal for an instance in all frames.
        img_shape: (H, W, ...) of the clip before padding.
        size: (H, W) of the padded batch; None keeps the size of the masks.
    """
    # Give each annotation its frame and its instance.
    device = bboxes[0].device
    num_instances, instance_on_host = number_instances(ids)
    frame_on_host = np.repeat(np.arange(len(ids)), [len(frame_ids) for frame_ids in ids])
    frames, instances = arrays_to_device([frame_on_host, instance_on_host], device)
    present_on_host = np.zeros((len(ids), num_instances), bool)
    present_on_host[frame_on_host, instance_on_host] = True
    present = torch.zeros(len(ids), num_instances, dtype=torch.bool, device=device)
    present[frames, instances] = True

    # Write labels and boxes to the entries of their instances.
    clip_labels = torch.zeros(num_instances, dtype=torch.long, device=device)
    clip_labels[instances] = torch.cat(list(labels))

    boxes = torch.zeros(len(ids), num_instances, 4, dtype=bboxes[0].dtype, device=device)
    boxes[frames, instances] = torch.cat(list(bboxes))
    relative_boxes = torch.zeros_like(boxes)
    relative_boxes[frames, instances] = bbox_xyxy_to_cxcywh(torch.cat(list(bboxes))) / box_scale(
        img_shape, device
    )

    # Join the masks on the host, so that they are copied to the device once.
    height, width = size or (masks[0].height, masks[0].width)
    clip_masks = np.zeros((num_instances, len(ids), height, width), bool)
    for t, frame_masks in enumerate(masks):
        frame_instances = instance_on_host[frame_on_host == t]
        clip_masks[frame_instances, t, : frame_masks.height, : frame_masks.width] = (
            frame_masks.masks
        )
    return GtTubes(
        labels=clip_labels,
        boxes=boxes,
        relative_boxes=relative_boxes.clamp(min=ABSENT_BOX_VALUE),
        masks=torch.from_numpy(clip_masks).to(device, non_blocking=True),
        present=present,
        present_on_host=present_on_host,
    )


def number_instances(ids: Sequence[torch.Tensor]) -> tuple[int, np.ndarray]:
    """Numbers the instances of a clip.

    Args:
        ids: T times [G_t], equal for an instance in all frames.

    Returns:
        N, and the index of each annotation's instance, frame after frame: 0 to N - 1 in the order
        of the ids.

    Example:
        >>> count, numbers = number_instances([torch.tensor([7, 3]), torch.tensor([7])])
        >>> count, numbers.tolist()
        (2, [1, 0, 1])
    """
    instance_ids, numbers = np.unique(torch.cat(list(ids)).cpu().numpy(), return_inverse=True)
    return len(instance_ids), numbers.reshape(-1)


def gather_batch(
    img_metas: Sequence[Sequence[dict]],
    gt_bboxes: Sequence[Sequence[torch.Tensor]],
    gt_labels: Sequence[Sequence[torch.Tensor]],
    gt_masks: Sequence[Sequence[BitmapMasks]],
    gt_ids: Sequence[Sequence[torch.Tensor]],
    size: Sequence[int] | None,
) -> list[GtTubes]:
    """Gathers the ground truth of each clip of a batch; all frames of a clip have one size.

    Args:
        img_metas, gt_bboxes, gt_labels, gt_masks, gt_ids: as of ``ClipDetector.forward_train``.
        size: (H, W) of the padded batch; None keeps the size of each clip's masks.
    """
    img_shapes = [metas[0]['img_shape'] for metas in img_metas]
    return [
        gather_gt_tubes(*clip, size)
        for clip in zip(gt_bboxes, gt_labels, gt_masks, gt_ids, img_shapes)
    ]


def batch_padding(
    img_metas: Sequence[Sequence[dict]], shape: Sequence[int], stride: int, device: torch.device
) -> ClipPadding:
    """Returns the padding of a batch of clips.

    Args:
        img_metas: B lists of T dicts with ``img_shape``.
        shape: (H, W) of the network input, in cells.
        stride: pixels along a cell.
        device: of the padding's mask.
    """
    sizes = [[tuple(meta['img_shape'][:2]) for meta in metas] for metas in img_metas]
    return ClipPadding.of_sizes(sizes, tuple(shape), stride, device)


def mean_instance_count(gt_tubes: Sequence[GtTubes], device: torch.device) -> torch.Tensor:
    """Returns the number of instances in a batch, averaged over all processes, at least 1.

    PARITY(SeqFormer, IFC): losses are divided by this number. An instance counts once, in however
    many frames it is present.
    """
    count = torch.full((), float(sum(map(len, gt_tubes))), device=device)
    return reduce_mean(count).clamp(min=1)


def box_scale(img_shape: Sequence[int], device: torch.device) -> torch.Tensor:
    """Returns (width, height, width, height) of an image of shape (H, W, ...).

    Example:
        >>> box_scale((4, 6, 3), torch.device('cpu')).tolist()
        [6.0, 4.0, 6.0, 4.0]
    """
    height, width = img_shape[:2]
    return constant((width, height, width, height), torch.float32, device)
