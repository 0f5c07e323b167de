import random

import numpy as np

from tevit_vis.utils.seeds import mixed_seed, seeded


def test_a_seed_decides_and_what_comes_after_is_as_if_nothing_was_drawn():
    np.random.seed(1)
    random.seed(1)
    expected = np.random.random(), random.random()
    np.random.seed(1)
    random.seed(1)
    with seeded(7):
        first = np.random.random(), random.random()
    with seeded(7):
        assert (np.random.random(), random.random()) == first
    assert (np.random.random(), random.random()) == expected


def test_mixed_seeds_differ_and_fit_31_bits():
    seeds = {mixed_seed(a, b) for a in range(20) for b in range(20)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert mixed_seed(3, 4) == mixed_seed(3, 4)
