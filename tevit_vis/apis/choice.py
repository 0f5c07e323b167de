"""Chooses the model where a user names none, and the size at which it sees frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmcv import Config

from tevit_vis.model_zoo import ZOO, Weights, cache_folder, find_weights
from tevit_vis.model_zoo.weights import ZOO_PREFIX
from tevit_vis.utils.errors import InputError

# With weights that may be used for any purpose, and that a program can fetch.
PREFERRED = ('mask2former/mask2former_r50_coco', 'tevit/queryinst_r50_coco')
CPU_SHORT_SIDE = 480  # pixels; 3 to 6 seconds a frame on two cores
LARGEST_SIDE = 2160  # more than the memory of most machines
LONG_SIDE = 2.0  # most that the long side of the network's input is, in short sides


def choose_model(config: str | None = None, checkpoint: str | None = None) -> tuple[str, str]:
    """Returns the config and the checkpoint to take.

    Args:
        config: as the user names it; None for the one that the checkpoint's name tells, or else
            the first of ``PREFERRED``, or of the zoo, whose weights are at hand. If none are, the
            first of ``PREFERRED``, whose weights will be fetched.
        checkpoint: as the user names it; None for the weights that are known for the config.

    Raises:
        InputError: a checkpoint file is named without its config.

    Example:
        >>> choose_model('tevit/tevit_msgshift')
        ('tevit/tevit_msgshift', 'zoo')
        >>> choose_model(checkpoint='zoo:tevit/tevit_r50')
        ('tevit/tevit_r50', 'zoo:tevit/tevit_r50')
    """
    if config is not None:
        return config, checkpoint or 'zoo'
    if checkpoint is not None:
        if checkpoint.startswith(ZOO_PREFIX) and checkpoint != ZOO_PREFIX:
            return find_weights(checkpoint[len(ZOO_PREFIX) :]).config, checkpoint
        beside = sorted(Path(checkpoint).parent.glob('*.py'))
        raise InputError(
            f'--checkpoint {checkpoint}: needs --config, the config that it was trained with'
            + (f', such as {beside[0]}' if beside else '')
        )
    order = [find_weights(name) for name in PREFERRED] + list(ZOO.values())
    at_hand = [weights for weights in order if weights.config and _is_at_hand(weights)]
    name = (at_hand or order)[0].name
    return find_weights(name).config, f'{ZOO_PREFIX}{name}'


def _is_at_hand(weights: Weights) -> bool:
    return (cache_folder() / weights.file).is_file()


def lower_short_side(config: Config, most: int, name: str) -> int | None:
    """Lowers the size at which the model sees frames, unless it is small already.

    Args:
        config: see ``set_short_side``.
        most: of the short side, in pixels.
        name: of the config.

    Returns:
        The new short side; None if nothing was changed.

    Example:
        >>> from tevit_vis.utils.config import load_config
        >>> lower_short_side(load_config('tevit/tevit_msgshift'), 480, 'mine') is None
        True
    """
    steps = [step for step in config.data.test.pipeline if step['type'] == 'Resize']
    scales = [scale for step in steps for scale in _scales(step)]
    if not scales or min(map(min, scales)) <= most:
        return None
    set_short_side(config, most, name)
    return most


def _scales(step: Mapping) -> list[Sequence[int]]:
    """Returns the sizes (width, height) of a resizing step, of which mmdet allows one or a list."""
    scale = step.get('img_scale') or []
    return list(scale) if scale and not isinstance(scale[0], int) else [scale] if scale else []


def set_short_side(config: Config, short_side: int, name: str) -> None:
    """Changes the size at which the model sees frames in testing.

    Args:
        config: whose ``data.test.pipeline`` changes.
        short_side: of what the network gets, in pixels; the long side is at most twice as long.
        name: of the config, for errors.

    Raises:
        InputError: the side is too short or too long, or the pipeline has no ``Resize``.

    Example:
        >>> from tevit_vis.utils.config import load_config
        >>> config = load_config('mask2former/mask2former_r50_coco')
        >>> set_short_side(config, 480, 'mine')
        >>> [step.img_scale for step in config.data.test.pipeline if step.type == 'Resize']
        [(960, 480)]
    """
    if not 32 <= short_side <= LARGEST_SIDE:
        raise InputError(
            f'--short-side: must be from 32 to {LARGEST_SIDE} pixels, but is {short_side}'
        )
    for step in config.data.test.pipeline:
        if step['type'] == 'Resize':
            step['img_scale'] = (round(short_side * LONG_SIDE), short_side)
            return
    raise InputError(
        f"--config: {name} must resize frames with mmdet's Resize, but does not; "
        f'{PREFERRED[0]} does'
    )
