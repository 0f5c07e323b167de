"""Between clips and frames.

Letters: B clips, T frames.
"""

from __future__ import annotations

import torch


def fold_frames(clips: torch.Tensor) -> torch.Tensor:
    """[B, T, ...] -> [B*T, ...], for layers that see single frames."""
    return clips.flatten(0, 1)


def unfold_frames(frames: torch.Tensor, num_clips: int) -> torch.Tensor:
    """[B*T, ...] -> [B, T, ...].

    Raises:
        ValueError: the frames do not divide into ``num_clips`` clips.
    """
    if len(frames) % num_clips:
        raise ValueError(
            f'num_clips must divide the {len(frames)} folded frames, but got {num_clips}'
        )
    return frames.unflatten(0, (num_clips, -1))
