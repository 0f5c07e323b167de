"""The test pipeline of a config as steps that ``deploy/preparation.py`` does without mmdet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tevit_vis.datasets import FramePipeline
from tevit_vis.deploy import Preparation
from tevit_vis.utils.config_shorthand import pipeline_steps
from tevit_vis.utils.errors import InputError

WITHOUT_EFFECT = ('DefaultFormatBundle', 'Collect', 'ImageToTensor')


def preparation_steps(pipeline: Sequence[dict] | Mapping[str, dict]) -> list[dict[str, Any]]:
    """Returns the steps of a test pipeline.

    Args:
        pipeline: ``data.test.pipeline`` of a config.

    Raises:
        InputError: it has a step that an exported model cannot do.

    Example:
        >>> preparation_steps([dict(type='LoadImageFromFile'), dict(type='Pad', size_divisor=32)])
        [{'step': 'pad', 'divisor': 32, 'value': 0}]
    """
    steps = []
    for config in pipeline_steps(pipeline)[1:]:
        kind = config.get('type')
        if kind in WITHOUT_EFFECT or (kind == 'RandomFlip' and not config.get('flip_ratio')):
            continue
        steps.append(_step(kind, config))
    return steps


def _step(kind: object, config: Mapping[str, Any]) -> dict[str, Any]:
    if kind == 'Resize' and _is_one_scale(config.get('img_scale')):
        keeps_ratio = config.get('keep_ratio', True)
        backend = config.get('backend', 'cv2')
        name = 'resize' if keeps_ratio else 'resize_to'
        return {'step': name, 'scale': _scale(config['img_scale']), 'backend': backend}
    if kind == 'ResizeShortSide' and len(config['short_sides']) == 1:
        return {
            'step': 'resize_short_side',
            'short_side': config['short_sides'][0],
            'max_long_side': config.get('max_long_side'),
            'rounds': config.get('round_long_side', False),
            'backend': config.get('backend', 'pillow'),
        }
    if kind == 'Normalize':
        numbers = {key: list(map(float, config[key])) for key in ('mean', 'std')}
        return {'step': 'normalize', **numbers, 'to_rgb': config.get('to_rgb', True)}
    if kind == 'Pad' and config.get('size_divisor'):
        value = config.get('pad_val', 0)
        value = value.get('img', 0) if isinstance(value, Mapping) else value
        value = list(value) if isinstance(value, (list, tuple)) else value
        return {'step': 'pad', 'divisor': config['size_divisor'], 'value': value}
    raise InputError(
        f'data.test.pipeline: the step {kind} cannot be exported: an exported model resizes to one '
        'scale, normalises, and pads to a multiple'
    )


def _is_one_scale(scale: object) -> bool:
    return isinstance(scale, (list, tuple)) and bool(scale) and len(_scale(scale)) == 2


def _scale(scale: Any) -> list[int]:
    """Returns the two numbers of a scale, which may be the only one of a list."""
    inner = scale[0] if len(scale) == 1 else scale
    return list(inner) if all(isinstance(side, int) for side in inner) else []


def check_steps(
    steps: Sequence[Mapping[str, Any]],
    pipeline: Sequence[dict] | Mapping[str, dict],
    sizes: Sequence[tuple[int, int]],
) -> None:
    """Checks that steps give what a pipeline gives, bit for bit.

    Args:
        steps: of ``preparation_steps``.
        pipeline: ``data.test.pipeline`` of a config.
        sizes: (H, W) of frames that are tried.

    Raises:
        InputError: they do not.
    """
    frames, prepare = FramePipeline(pipeline), Preparation(steps)
    rng = np.random.default_rng(0)
    for height, width in sizes:
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        expected, found = frames.from_array(image), prepare(image)
        is_equal = np.array_equal(expected.img.numpy(), found.image)
        if not is_equal or tuple(expected.meta['img_shape'][:2]) != found.resized:
            raise InputError(
                f'data.test.pipeline: its frames of {width}x{height} are not those of the exported '
                'steps: it has a step that cannot be exported'
            )
