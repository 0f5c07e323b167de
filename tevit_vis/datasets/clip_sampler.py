"""Which frames form a training clip: pure functions, chosen by name in a config.

Each takes the frames to choose from (numbers in order of time), the place of the key frame among
them, the length of the clip and a generator, and returns the clip's frame numbers in the order in
which the network sees them. Videos with too few frames repeat some.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_whole_number

ClipSampler = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def key_then_any(frames: np.ndarray, key: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """TeViT: the key frame first, then others from anywhere in the video, in random order."""
    others = np.delete(frames, key)
    return np.concatenate([frames[key : key + 1], _choose(others, frames, length - 1, rng)])


def near_then_far(
    frames: np.ndarray, key: int, length: int, rng: np.random.Generator, reach: int = 3
) -> np.ndarray:
    """SeqFormer: the key frame, one up to ``reach`` places before it, one up to ``reach`` after it
    (both clamped to the video), the rest from outside that span; in order of time.
    """
    before = max(0, key - int(rng.integers(1, reach + 1)))
    after = min(len(frames) - 1, key + int(rng.integers(1, reach + 1)))
    near = [frames[key], frames[before], frames[after]][:length]
    outside = np.concatenate([frames[:before], frames[after + 1 :]])
    return np.sort(np.concatenate([near, _choose(outside, frames, length - len(near), rng)]))


def window(
    frames: np.ndarray, key: int, length: int, rng: np.random.Generator, reach: int = 20
) -> np.ndarray:
    """IFC: the key frame and others at most ``reach`` places from it, drawn with replacement; in
    order of time.
    """
    first, last = max(0, key - reach), min(len(frames) - 1, key + reach)
    others = frames[rng.integers(first, last + 1, length - 1)]
    return np.sort(np.concatenate([frames[key : key + 1], others]))


def _choose(
    wanted: np.ndarray, all_frames: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """``count`` of the wanted frames, distinct; what they cannot fill is drawn from all frames."""
    chosen = rng.permutation(wanted)[:count]
    missing = count - len(chosen)
    if missing < 1:
        return chosen
    return np.concatenate([chosen, all_frames[rng.integers(0, len(all_frames), missing)]])


RULES: dict[str, Callable] = {'tevit': key_then_any, 'seqformer': near_then_far, 'ifc': window}


def build_clip_sampler(length: int, rule: Mapping) -> ClipSampler:
    """The function of a config.

    Args:
        length: frames of a clip.
        rule: ``dict(type='tevit')``, ``'seqformer'`` or ``'ifc'``, the last two with ``reach``.

    Raises:
        InputError: no such rule, an argument it has not, or a length below 1.
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
