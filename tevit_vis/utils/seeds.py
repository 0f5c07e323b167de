"""Randomness that a seed decides, whatever was drawn before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python's and numpy's global generators, which mmdet's transforms draw from; afterwards
    they go on as if nothing had been drawn.
    """
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def mixed_seed(*numbers: int) -> int:
    """One seed of 31 bits from several numbers, such as a run's seed and an iteration."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)
