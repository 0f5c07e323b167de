"""Fits the length of a run and its learning rate to the data and the batch size."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from mmcv import Config

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_whole_number


def accumulated_iters(config: Config) -> int:
    """Returns the number of iterations whose gradients make one step of the optimizer.

    Example:
        >>> accumulated_iters(Config(dict(optimizer_config=dict(cumulative_iters=4))))
        4
    """
    value = config.get('optimizer_config', {}).get('cumulative_iters', 1)
    return check_whole_number('optimizer_config.cumulative_iters', value, least=1)


def epochs_to_iters(config: Config, batches: int) -> None:
    """Converts epochs to iterations, which the runner counts.

    Args:
        config: changed in place. Only values that are None are filled in: ``runner.max_iters``
            from ``epochs.total``, ``lr_config.step`` from ``epochs.lr_drops``, the intervals of
            ``checkpoint_config`` and ``evaluation`` with one epoch.
        batches: number of batches in an epoch.

    Raises:
        InputError: a value is None, but ``epochs`` does not give it.

    Example:
        >>> sections = dict(lr_config={}, checkpoint_config={}, evaluation={})
        >>> config = Config(dict(epochs=dict(total=2), runner=dict(max_iters=None), **sections))
        >>> epochs_to_iters(config, batches=100)
        >>> config.runner.max_iters
        200
    """
    epochs = config.get('epochs')
    if epochs is not None and not isinstance(epochs, Mapping):
        raise InputError(f'epochs: must have total and lr_drops, but got {epochs!r}')
    values = (
        (config.runner, 'max_iters', 'total'),
        (config.lr_config, 'step', 'lr_drops'),
        (config.checkpoint_config, 'interval', None),
        (config.evaluation, 'interval', None),
    )
    for section, key, name in values:
        if section.get(key, 0) is not None:
            continue
        if name is None:
            section[key] = batches
        elif not epochs or name not in epochs:
            raise InputError(f'epochs.{name}: must be set where {key} is None')
        elif isinstance(epochs[name], (list, tuple)):
            drops = [check_whole_number(f'epochs.{name}', drop, least=1) for drop in epochs[name]]
            section[key] = [drop * batches for drop in drops]
        else:
            section[key] = check_whole_number(f'epochs.{name}', epochs[name], least=1) * batches


def scale_schedule(config: Config, clips: int) -> float:
    """Fits the learning rate and the numbers of iterations to another number of clips per step.

    The learning rate is multiplied by f = clips per step / ``auto_scale_lr.base_batch_size``,
    where a step accumulates ``optimizer_config.cumulative_iters`` iterations. All numbers of
    iterations are changed so that training sees as many clips as before; numbers that are given
    in epochs need no change.

    Args:
        config: changed in place.
        clips: number of clips that all processes together see in one iteration.

    Returns:
        f.

    Raises:
        InputError: the config has no ``auto_scale_lr.base_batch_size``.

    Example:
        >>> sections = dict(lr_config={}, checkpoint_config={}, evaluation={}, optimizer=dict(lr=1))
        >>> batch, runner = dict(base_batch_size=8), dict(max_iters=1000)
        >>> config = Config(dict(auto_scale_lr=batch, runner=runner, **sections))
        >>> scale_schedule(config, clips=16), config.runner.max_iters
        (2.0, 500)
    """
    base = (config.get('auto_scale_lr') or {}).get('base_batch_size')
    base = check_whole_number('auto_scale_lr.base_batch_size', base, least=1)
    accumulated = accumulated_iters(config)
    factor = clips * accumulated / base
    config.optimizer.lr *= factor
    if config.get('adversary'):
        config.adversary.optimizer.lr *= factor

    def scaled(count: int) -> int:
        return max(1, round(count / factor)) * accumulated

    for section, key in (
        (config.runner, 'max_iters'),
        (config.lr_config, 'warmup_iters'),
        (config.checkpoint_config, 'interval'),
        (config.evaluation, 'interval'),
    ):
        if section.get(key):
            section[key] = scaled(section[key])
    if config.lr_config.get('step'):
        steps = config.lr_config.step
        steps = [steps] if isinstance(steps, int) else steps
        config.lr_config.step = [scaled(step) for step in steps]
    return factor


def align_checkpoints(config: Config, logger: logging.Logger) -> None:
    """Rounds the checkpoint interval up to whole steps of the optimizer.

    A checkpoint does not hold the gradients that are accumulated between two steps.
    """
    accumulated = accumulated_iters(config)
    interval = config.checkpoint_config.interval
    if interval > 0 and interval % accumulated:
        aligned = -(-interval // accumulated) * accumulated
        config.checkpoint_config.interval = aligned
        logger.info(
            'checkpoints are saved every %d iterations, since %d iterations make a step',
            *(aligned, accumulated),
        )
