"""How long a run is and how its learning rate goes, in iterations."""

from __future__ import annotations

from collections.abc import Mapping

from mmcv import Config

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_whole_number


def accumulated_iters(config: Config) -> int:
    """Iterations whose gradients make one step of the optimizer."""
    value = config.get('optimizer_config', {}).get('cumulative_iters', 1)
    return check_whole_number('optimizer_config.cumulative_iters', value, least=1)


def fit_epochs(config: Config, batches: int) -> None:
    """Turn epochs into iterations, which is what the runner counts.

    Args:
        config: changed in place: ``runner.max_iters``, ``lr_config.step`` and the intervals of
            ``checkpoint_config`` and ``evaluation`` are filled in where they are None, of
            ``epochs.total`` and ``epochs.lr_drops``.
        batches: of an epoch.

    Raises:
        InputError: one is None and the config has no ``epochs``.
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
    """Fit learning rate and iterations to another number of clips a step.

    The learning rate is multiplied by f = clips a step / ``auto_scale_lr.base_batch_size``, where
    a step accumulates ``optimizer_config.cumulative_iters`` iterations. All numbers of iterations
    are changed so that as many clips are seen; those that epochs stand for follow the batch size
    by themselves.

    Args:
        config: changed in place.
        clips: of all processes in one iteration.

    Returns:
        f.

    Raises:
        InputError: the config has no ``auto_scale_lr.base_batch_size``.
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
