"""The instances that a model found, as content that formats write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tevit_vis.rle import decode_rle
from tevit_vis.structures import FrameInstances, VideoInstances
from tevit_vis.utils.errors import InputError

from .base import ConversionLog
from .builder import ContentBuilder


def instances_content(
    instances: VideoInstances, class_names: Sequence[str], name: str
) -> dict[str, Any]:
    """Returns a video in YouTube-VIS layout, with its instances as annotations.

    Args:
        instances: of the video; those without any pixel are left out.
        class_names: name of each label; categories count from 1.
        name: of the video.

    Example:
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


def to_supervision(instances: FrameInstances, class_names: Sequence[str]) -> Any:
    """Returns the tracks of a frame as ``supervision.Detections``, for its annotators and zones.

    Args:
        instances: of a frame; ``VideoInstances.to_frame_instances`` gives those of a video.
        class_names: name of each label.

    Raises:
        InputError: supervision is not installed.

    Example:
        >>> to_supervision(frame_instances, ['cat']).tracker_id  # doctest: +SKIP
        array([0, 3])
    """
    try:
        import supervision
    except ImportError:
        raise InputError(
            'to_supervision: needs the package supervision: pip install supervision'
        ) from None
    labels = instances.class_scores.argmax(1) if instances.tracks else np.zeros(0, int)
    masks = [decode_rle(mask) for mask in instances.masks]
    return supervision.Detections(
        xyxy=np.asarray(instances.boxes, np.float32).reshape(-1, 4),
        mask=np.array(masks, bool).reshape(-1, *instances.size),
        confidence=instances.class_scores.max(1, initial=0),
        class_id=labels.astype(int),
        tracker_id=np.array(instances.tracks, int),
        data={'class_name': np.array([class_names[label] for label in labels], str)},
    )
