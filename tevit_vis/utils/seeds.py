"""Random numbers that depend on a seed alone, not on what was drawn before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds Python's and numpy's global generators, which mmdet's transforms draw from.

    After the context both go on as if nothing had been drawn.

    Example:
        >>> with seeded(3):
        ...     number = random.random()
        >>> with seeded(3):
        ...     random.random() == number
        True
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
    """Returns one seed of 31 bits for several numbers, such as a run's seed and an iteration.

    Example:
        >>> mixed_seed(0, 1) == mixed_seed(0, 1), mixed_seed(0, 1) == mixed_seed(1, 0)
        (True, False)
    """
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)
