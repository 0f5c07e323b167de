"""The positive queries of a RoI stage in each frame, and the ground truth by frame.

Letters: B clips, T frames, Q queries, N instances of a clip, E = sum of T * N over the clips (one
entry for every instance in every frame), P positive queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from tevit_vis.ground_truth import GtTubes
from tevit_vis.layers.clip_ops import arrays_to_device, constant
from tevit_vis.layers.roi_align import crop_masks

from .gather_gt import box_scale


class Positives(NamedTuple):
    """The P positive queries of a stage among the B*T*Q queries of all frames, in order."""

    rows: torch.Tensor  # [P] indices of the queries, 0 to B*T*Q - 1
    instances: torch.Tensor  # [P] indices of their instances in ``GtByFrame``, 0 to E - 1
    rows_on_host: np.ndarray  # ``rows`` as an array
    instances_on_host: np.ndarray  # ``instances`` as an array
    num_per_clip: list[int]  # the number of positive queries in each of the B clips


def gather_positives(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    gt_tubes: Sequence[GtTubes],
    num_queries: int,
    device: torch.device,
) -> list[Positives]:
    """Returns the positive queries of each stage.

    A query that is matched with an instance is background in the frames that lack the instance.

    Args:
        pairs: matched queries and instances, stage after stage and clip after clip.
        gt_tubes: of the clips.
        num_queries: Q.
        device: of the tensors.
    """
    num_clips = len(gt_tubes)
    stages = []
    for start in range(0, len(pairs), num_clips):
        rows, instances, first_row, first_instance = [], [], 0, 0
        for (queries, matched_gt), gt in zip(pairs[start : start + num_clips], gt_tubes):
            num_frames = len(gt.present_on_host)
            query_of_gt = np.full(len(gt), -1)  # -1: unmatched, as there are too few queries
            query_of_gt[matched_gt] = queries
            frames, gt_indices = np.nonzero(gt.present_on_host & (query_of_gt >= 0))
            clip_rows = first_row + frames * num_queries + query_of_gt[gt_indices]
            order = np.argsort(clip_rows)
            rows.append(clip_rows[order])
            instances.append((first_instance + frames * len(gt) + gt_indices)[order])
            first_row += num_frames * num_queries
            first_instance += num_frames * len(gt)
        stages.append((np.concatenate(rows), np.concatenate(instances), list(map(len, rows))))
    tensors = arrays_to_device([indices for stage in stages for indices in stage[:2]], device)
    return [
        Positives(*pair, *stage) for pair, stage in zip(zip(tensors[::2], tensors[1::2]), stages)
    ]


class GtByFrame(NamedTuple):
    """The instances of a batch in each frame: those of clip 0 in frame 0 first, then in frame 1."""

    boxes: torch.Tensor  # [E, 4] x1 y1 x2 y2 in pixels of the network input
    labels: torch.Tensor  # [E]
    image_sizes: torch.Tensor  # [E, 4] width, height, width, height
    masks: list[torch.Tensor]  # B times [T * N, 1, H, W] bool, padded like the clip

    @classmethod
    def of_clips(
        cls, gt_tubes: Sequence[GtTubes], img_shapes: Sequence[Sequence[int]]
    ) -> GtByFrame:
        """Returns the instances of all clips, frame by frame.

        Args:
            gt_tubes: of each clip; masks have the size to which the data loader padded the clip.
            img_shapes: (H, W, ...) of each clip before padding.
        """
        sizes = [
            box_scale(shape, gt.boxes.device).expand(gt.present.numel(), 4)
            for gt, shape in zip(gt_tubes, img_shapes)
        ]
        return cls(
            boxes=torch.cat([gt.boxes.flatten(0, 1) for gt in gt_tubes]),
            labels=torch.cat([gt.labels.repeat(len(gt.present)) for gt in gt_tubes]),
            image_sizes=torch.cat(sizes),
            masks=[gt.masks.transpose(0, 1).flatten(0, 1)[:, None] for gt in gt_tubes],
        )

    def masks_in_boxes(
        self, boxes: torch.Tensor, positives: Positives, size: tuple[int, int]
    ) -> torch.Tensor:
        """Returns the ground-truth masks of positive queries, cropped to their predicted boxes.

        It computes mmdet's ``mask_target`` for all frames of a clip at once and on the device.

        Args:
            boxes: [P, 4], the predicted boxes, x1 y1 x2 y2 in pixels of the network input.
            positives: of the stage, at least one.
            size: (h, w) cells of a mask.

        Returns:
            [P, h, w], 0 to 1.
        """
        masks_of_clips, first_instance = [], 0
        for masks, clip_boxes, instances in zip(
            self.masks,
            boxes.split(positives.num_per_clip),
            positives.instances.split(positives.num_per_clip),
        ):
            height, width = masks.shape[2:]
            corners = constant((width, height) * 2, boxes.dtype, boxes.device)
            clipped_boxes = clip_boxes.minimum(corners).clamp(min=0)
            mask_indices = (instances - first_instance)[:, None].to(boxes.dtype)
            rois = torch.cat([mask_indices, clipped_boxes], 1)
            if len(rois):  # the kernel cannot run on zero RoIs
                masks_of_clips.append(crop_masks(masks.to(rois), rois, size))
            first_instance += len(masks)
        return torch.cat(masks_of_clips)
