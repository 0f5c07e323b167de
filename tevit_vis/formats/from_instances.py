"""The instances that a model found, as content that formats write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tevit_vis.structures import VideoInstances

from .base import ContentBuilder, ConversionLog


def instances_content(
    instances: VideoInstances, class_names: Sequence[str], name: str
) -> dict[str, Any]:
    """Returns a video in YouTube-VIS layout, with its instances as annotations.

    Args:
        instances: of the video; those without any pixel are left out.
        class_names: name of each label; categories count from 1.
        name: of the video.

    Example:
        >>> import numpy as np
        >>> mask = {'size': [3, 4], 'counts': '723'}
        >>> one = np.ones(1, np.float32)
        >>> found = VideoInstances(np.zeros(1, int), one, np.zeros((1, 1, 4)), [[mask]], (3, 4))
        >>> instances_content(found, ['cat'], 'walk')['annotations'][0]['category_id']
        1
    """
    builder = ContentBuilder(dict(enumerate(class_names, start=1)), ConversionLog())
    height, width = instances.size
    files = [f'{name}/{t:06d}.jpg' for t in range(instances.num_frames)]
    video = builder.add_video(name, width, height, files)
    for n, track in enumerate(instances.segmentations):
        masks = {t: mask for t, mask in enumerate(track) if mask is not None}
        builder.add_track(video, class_names[instances.labels[n]], masks, f'track {n}')
    return builder.content()
