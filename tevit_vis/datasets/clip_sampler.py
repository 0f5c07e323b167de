"""Clip samplers: pure functions that choose the frames of a training clip, named in a config.

Each takes
    frames: numbers of the frames to choose from, in order of time,
    key: index of the key frame in ``frames``,
    length: number of frames of the clip,
    rng: the random generator,
and returns the frame numbers of the clip in the order in which the network sees them. Where a
video has too few frames, some are repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_whole_number

ClipSampler = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def key_then_any(frames: np.ndarray, key: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Samples as TeViT does: the key frame first, then others from anywhere in the video, in random
    order.
    """
    others = np.delete(frames, key)
    return np.concatenate([frames[key : key + 1], _choose(others, frames, length - 1, rng)])


def near_then_far(
    frames: np.ndarray, key: int, length: int, rng: np.random.Generator, reach: int = 3
) -> np.ndarray:
    """Samples as SeqFormer does, in order of time: the key frame, one frame up to ``reach`` places
    before it and one up to ``reach`` after it (both clamped to the video), the rest from outside
    that span.
    """
    before = max(0, key - int(rng.integers(1, reach + 1)))
    after = min(len(frames) - 1, key + int(rng.integers(1, reach + 1)))
    near = [frames[key], frames[before], frames[after]][:length]
    outside = np.concatenate([frames[:before], frames[after + 1 :]])
    return np.sort(np.concatenate([near, _choose(outside, frames, length - len(near), rng)]))


def near_key(
    frames: np.ndarray, key: int, length: int, rng: np.random.Generator, reach: int = 20
) -> np.ndarray:
    """Samples as IFC does, in order of time: the key frame, and others at most ``reach`` places
    from it, drawn with replacement.
    """
    first, last = max(0, key - reach), min(len(frames) - 1, key + reach)
    sampled = frames[rng.integers(first, last + 1, length - 1)]
    return np.sort(np.concatenate([frames[key : key + 1], sampled]))


def _choose(
    candidates: np.ndarray, all_frames: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Chooses ``count`` distinct candidates; if there are too few, the rest is drawn from all
    frames and may repeat.
    """
    chosen = rng.permutation(candidates)[:count]
    missing = count - len(chosen)
    if missing < 1:
        return chosen
    return np.concatenate([chosen, all_frames[rng.integers(0, len(all_frames), missing)]])


RULES: dict[str, Callable] = {'tevit': key_then_any, 'seqformer': near_then_far, 'ifc': near_key}


def build_clip_sampler(length: int, rule: Mapping) -> ClipSampler:
    """Returns the clip sampler of a config.

    Args:
        length: number of frames of a clip.
        rule: ``dict(type='tevit')``, or ``type='seqformer'`` or ``'ifc'``, which also have the
            option ``reach``.

    Raises:
        InputError: there is no such rule, the rule has no such option, or a number is below 1.

    Example:
        >>> sample = build_clip_sampler(3, dict(type='ifc', reach=2))
        >>> clip = sample(np.arange(10), key=5, rng=np.random.default_rng(0))
        >>> len(clip), bool((abs(clip - 5) <= 2).all())
        (3, True)
    """
    check_whole_number('data.train.clip_length', length, least=1)
    options = dict(rule)
    name = options.pop('type', None)
    if name not in RULES:
        raise InputError(
            f'data.train.clip_sampler: type must be one of {", ".join(RULES)}, but got {name!r}'
        )
    for key, value in options.items():
        if key != 'reach' or name == 'tevit':
            raise InputError(f'data.train.clip_sampler: {name!r} has no option {key!r}')
        check_whole_number('data.train.clip_sampler.reach', value, least=1)
    rule_function = partial(RULES[name], **options)

    def sample(frames: np.ndarray, key: int, rng: np.random.Generator) -> np.ndarray:
        return rule_function(frames, key, length, rng)

    return sample
