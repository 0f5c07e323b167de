"""Writes out the shorthand of config files as mmcv and mmdet expect it.

- A pipeline may be a dict of named steps, of which a config that inherits it changes one by name:
  ``data = dict(train=dict(pipeline=dict(resize=dict(img_scale=(960, 540)))))``. A step that is None
  or empty is left out. It becomes the list of its steps.
- A stage of TeViT's heads may be one dict. It becomes a list of ``num_stages`` of them.
- An ``img_scale`` may be a list, as ``--cfg-options`` gives it; mmdet's steps want a tuple.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from mmcv import Config


def expand_shorthand(config: Config) -> Config:
    """Writes out named pipelines, stages and scales of a config in place, and returns it.

    Example:
        >>> pipeline = dict(load=dict(type='LoadImageFromFile'), flip=None)
        >>> config = expand_shorthand(Config(dict(data=dict(test=dict(pipeline=pipeline)))))
        >>> config.data.test.pipeline
        [{'type': 'LoadImageFromFile'}]
    """
    content = config._cfg_dict
    _expand_pipelines(content.get('data'))
    _write_scales_as_tuples(content.get('data'))
    model = content.get('model') or {}
    roi_head = model.get('roi_head')
    if isinstance(roi_head, Mapping) and isinstance(roi_head.get('num_stages'), int):
        num_stages = roi_head['num_stages']
        for name in ('bbox_head', 'mask_head', 'stage_loss_weights'):
            _repeat(roi_head, name, num_stages)
        _repeat(model.get('train_cfg') or {}, 'rcnn', num_stages)
    return config


class NamedSteps(list):
    """The steps of a pipeline, which remember the names that they had in a config file."""

    names: tuple[str, ...] = ()


def pipeline_steps(pipeline: Mapping | Sequence) -> list:
    """Returns a pipeline as a list of steps, without named steps that are None or empty.

    Example:
        >>> pipeline_steps(dict(load=dict(type='LoadImageFromFile'), flip=None))
        [{'type': 'LoadImageFromFile'}]
    """
    if not isinstance(pipeline, Mapping):
        return list(pipeline)
    names = [name for name, step in pipeline.items() if step]
    steps = NamedSteps(pipeline[name] for name in names)
    steps.names = tuple(names)
    return steps


def with_step_indices(config: Config, key: str) -> str:
    """Returns a dotted key with the indices of named steps in place of their names.

    Args:
        config: with its shorthand written out.
        key: as a user gives it, with the index or the name of a step.

    Example:
        >>> pipeline = dict(load=dict(type='LoadImageFromFile'), flip=dict(type='RandomFlip'))
        >>> config = expand_shorthand(Config(dict(data=dict(test=dict(pipeline=pipeline)))))
        >>> with_step_indices(config, 'data.test.pipeline.flip.flip_ratio')
        'data.test.pipeline.1.flip_ratio'
    """
    node: Any = config._cfg_dict
    parts = []
    for part in key.split('.'):
        if isinstance(node, NamedSteps) and part in node.names:
            part = str(node.names.index(part))
        parts.append(part)
        if isinstance(node, Mapping):
            node = node.get(part)
        elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        else:
            node = None
    return '.'.join(parts)


def _expand_pipelines(node: Any) -> None:
    """Replaces each ``pipeline`` below a node that has named steps by the list of its steps."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == 'pipeline' and isinstance(value, Mapping):
                node[name] = pipeline_steps(value)
            else:
                _expand_pipelines(value)
    elif isinstance(node, (list, tuple)):
        for child in node:
            _expand_pipelines(child)


def _write_scales_as_tuples(node: Any) -> None:
    """Makes a tuple of each scale (W, H) of an ``img_scale`` below a node."""
    if isinstance(node, Mapping):
        scale = node.get('img_scale')
        if isinstance(scale, list):
            is_one = not any(isinstance(side, (list, tuple)) for side in scale)
            scales = [tuple(each) if isinstance(each, list) else each for each in scale]
            node['img_scale'] = tuple(scale) if is_one else scales
    if isinstance(node, (Mapping, list, tuple)):
        for child in node.values() if isinstance(node, Mapping) else node:
            _write_scales_as_tuples(child)


def _repeat(section: Any, name: str, count: int) -> None:
    """Replaces a single value of a section by a list of ``count`` copies of it."""
    value = section.get(name)
    if value is not None and not isinstance(value, (list, tuple)):
        section[name] = [copy.deepcopy(value) for _ in range(count)]
