"""Masks in boxes, pasted into the frame at full size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

CPU_MASK_BYTES = 64 << 20  # full-size masks in work at a time


GPU_MASK_BYTES = 512 << 20


def paste_masks(
    probabilities: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Pastes mask probabilities into the frame, bilinearly.

    Args:
        probabilities: [N, h, w].
        boxes: [N, 4], x1 y1 x2 y2 in pixels.
        size: (H, W) of the frame.

    Returns:
        [N, H, W] float, 0 outside the boxes.
    """
    height, width = size
    on_frame = (
        (boxes[:, 2:] > boxes[:, :2]).all(1)
        & (boxes[:, 2:] > 0).all(1)
        & (boxes[:, 0] < width)
        & (boxes[:, 1] < height)
    )
    if probabilities.device.type == 'cuda':
        return _paste_whole_frames(probabilities, boxes, on_frame, size)
    canvas = probabilities.new_zeros(len(probabilities), height, width)
    # On the CPU it is fastest to paste only the pixels in boxes.
    for index in on_frame.nonzero()[:, 0].tolist():
        # mmdet's pasting crashes at a box that lies outside the frame: that mask stays empty.
        pasted, window = _do_paste_mask(
            probabilities[index, None, None], boxes[index, None], height, width, skip_empty=True
        )
        canvas[index][window] = pasted[0]
    return canvas


def _paste_whole_frames(
    probabilities: torch.Tensor, boxes: torch.Tensor, on_frame: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Does the same as ``paste_masks``, a few instances at a time and without a wait for the GPU.

    Args:
        on_frame: [N] bool, whether the box has an area and overlaps the frame.
    """
    height, width = size
    off_frame = boxes.new_tensor([-2.0, -2.0, -1.0, -1.0])
    boxes = torch.where(on_frame[:, None], boxes, off_frame)
    y = torch.arange(height, device=boxes.device) + 0.5
    x = torch.arange(width, device=boxes.device) + 0.5
    parts = []
    for chunk, chunk_boxes in zip(
        *(
            side.split(num_masks_at_once(boxes.device, size, bytes_of_pixel=16))
            for side in (probabilities, boxes)
        )
    ):
        x1, y1, x2, y2 = chunk_boxes[..., None].unbind(1)  # [n, 1] each
        rows = (y - y1) / (y2 - y1) * 2 - 1  # [n, H]
        columns = (x - x1) / (x2 - x1) * 2 - 1  # [n, W]
        grid = torch.stack(
            [
                columns[:, None].expand(-1, height, -1),
                rows[:, :, None].expand(-1, -1, width),
            ],
            dim=3,
        )
        parts.append(F.grid_sample(chunk[:, None], grid.to(chunk), align_corners=False)[:, 0])
    return torch.cat(parts) if parts else probabilities.new_zeros(0, height, width)


def num_masks_at_once(device: torch.device, size: tuple[int, int], bytes_of_pixel: int = 4) -> int:
    """Returns how many full-size masks may be worked on at a time.

    Args:
        size: (H, W).
        bytes_of_pixel: bytes that the work needs for each pixel of a mask.

    Example:
        >>> num_masks_at_once(torch.device('cpu'), (1024, 1024))
        16
    """
    budget = GPU_MASK_BYTES if device.type == 'cuda' else CPU_MASK_BYTES
    return max(1, budget // (size[0] * size[1] * bytes_of_pixel))
