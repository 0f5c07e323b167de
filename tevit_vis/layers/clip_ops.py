"""Padding of clips, folding of their frames, and copies from the host to the device.

Letters: B clips, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from .exporting import is_exporting


class ClipPadding(NamedTuple):
    """The cells of padded clips that lie outside the images, and two facts about them.

    Layers read the two flags instead of the tensor, so that no forward waits for the device.
    """

    mask: torch.Tensor  # [B, T, H, W] bool, True on cells outside the images
    has_padding: bool  # whether any cell is padding
    is_same_in_all_frames: bool  # whether all frames of each clip are padded alike

    @classmethod
    def of_sizes(
        cls,
        sizes: Sequence[Sequence[tuple[int, int]]],
        shape: tuple[int, int],
        stride: int,
        device: torch.device,
    ) -> ClipPadding:
        """Returns the padding of clips: the cells that lie wholly outside the images.

        Args:
            sizes: B lists of T (H, W) of the images, in pixels of the network input.
            shape: (H, W) of the padded clips, in cells.
            stride: pixels along a cell.
            device: of the mask.

        Example:
            >>> padding = ClipPadding.of_sizes([[(2, 3)]], (2, 4), 1, torch.device('cpu'))
            >>> padding.mask.int().tolist(), padding.has_padding, padding.is_same_in_all_frames
            ([[[[0, 0, 0, 1], [0, 0, 0, 1]]]], True, True)
        """
        cells = [[tuple(-(-side // stride) for side in size) for size in clip] for clip in sizes]
        has_padding = any(
            size[0] < shape[0] or size[1] < shape[1] for clip in cells for size in clip
        )
        is_same_in_all_frames = all(len(set(clip)) == 1 for clip in cells)
        if not has_padding:
            mask = torch.zeros(len(cells), len(cells[0]), *shape, dtype=torch.bool, device=device)
            return cls(mask, has_padding, is_same_in_all_frames)
        ends = torch.tensor(cells).to(device, non_blocking=True)[..., None, None]  # [B,T,2,1,1]
        y = torch.arange(shape[0], device=device)[:, None]
        x = torch.arange(shape[1], device=device)
        return cls((y >= ends[:, :, 0]) | (x >= ends[:, :, 1]), has_padding, is_same_in_all_frames)

    @classmethod
    def of_clip(
        cls,
        size: tuple[int, int],
        num_frames: int,
        shape: tuple[int, int],
        stride: int,
        device: torch.device,
    ) -> ClipPadding:
        """Returns the padding of one clip whose frames all have the same size.

        Args:
            size: (H, W) of the images, in pixels of the network input.
            num_frames: T.
            shape, stride, device: as of ``of_sizes``.

        Example:
            >>> ClipPadding.of_clip((2, 3), 5, (2, 4), 1, torch.device('cpu')).mask.shape
            torch.Size([1, 5, 2, 4])
        """
        frame = cls.of_sizes([[size]], shape, stride, device)
        return frame._replace(mask=frame.mask.expand(-1, num_frames, -1, -1))


def constant(values: tuple, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Returns numbers as a tensor that is cached on the device and must not be changed.

    Example:
        >>> constant(((4, 6), (2, 3)), torch.long, torch.device('cpu')).tolist()
        [[4, 6], [2, 3]]
    """
    if is_exporting():  # tensors of a graph must not stay in the cache
        return torch.tensor(values, dtype=dtype, device=device)
    return _cached_constant(values, dtype, device)


@lru_cache(maxsize=256)
def _cached_constant(values: tuple, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    with torch.inference_mode(False):  # else training could not use the cached tensor later
        return torch.tensor(values, dtype=dtype).to(device)


def arrays_to_device(arrays: Sequence[np.ndarray], device: torch.device) -> list[torch.Tensor]:
    """Returns arrays of one dtype as tensors on a device; one copy moves all of them.

    Example:
        >>> parts = arrays_to_device([np.arange(2), np.arange(1)], torch.device('cpu'))
        >>> [part.tolist() for part in parts]
        [[0, 1], [0]]
    """
    joined = torch.from_numpy(np.concatenate(arrays)).to(device, non_blocking=True)
    return list(joined.split([len(array) for array in arrays]))


def fold_frames(clips: torch.Tensor) -> torch.Tensor:
    """Folds clips [B, T, ...] into frames [B*T, ...], for layers that see single frames.

    Example:
        >>> fold_frames(torch.zeros(2, 3, 5)).shape
        torch.Size([6, 5])
    """
    return clips.flatten(0, 1)


def unfold_frames(frames: torch.Tensor, num_clips: int) -> torch.Tensor:
    """Unfolds frames [B*T, ...] into clips [B, T, ...].

    Raises:
        ValueError: the frames do not divide into ``num_clips`` clips.

    Example:
        >>> unfold_frames(torch.zeros(6, 5), num_clips=2).shape
        torch.Size([2, 3, 5])
    """
    if num_clips > 1 and len(frames) % num_clips:
        raise ValueError(
            f'num_clips must divide the {len(frames)} folded frames, but got {num_clips}'
        )
    return frames.unflatten(0, (num_clips, -1))
