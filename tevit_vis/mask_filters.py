"""Which instances of a video, and which of their masks, are output."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tevit_vis.rle import mask_areas
from tevit_vis.structures import RLE, VideoInstances


def filter_masks(
    instances: VideoInstances, drop_empty: bool, min_mask_score: float
) -> VideoInstances:
    """Returns the instances of a video without empty ones and without masks of low scores.

    Args:
        instances: instances of the whole video.
        drop_empty: whether to leave out instances without a pixel in any frame.
        min_mask_score: instances with a lower score lose their masks in all frames.
    """
    if drop_empty:
        has_pixels = [mask_areas(track).any() for track in instances.segmentations]
        instances = instances.select(np.flatnonzero(has_pixels))
    tracks: list[list[RLE | None]] = [
        list(track) if score >= min_mask_score else [None] * len(track)
        for score, track in zip(instances.scores, instances.segmentations)
    ]
    return replace(instances, segmentations=tracks)
