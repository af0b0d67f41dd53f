"""Random numbers by position: every number is a pure function of its seed and its place.

No state, so a network is the same whatever is drawn beside it, before it or after it, and a wide
network's leading block is the narrow network of the same seed. The generator is SplitMix64
(Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), used as a hash.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Words: TypeAlias = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(word: Words) -> Words:
    """SplitMix64's finaliser of `word + golden ratio`, elementwise: a bijection of 64-bit words."""
    # At least one dimension: numpy wraps arrays in silence, but warns where a scalar wraps.
    z = np.atleast_1d(word) + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def derive(seed: int, *path: int | NDArray[np.int64]) -> Words:
    """One 64-bit word for every element of `path`: seeds for the parts of a run named by it.

    `path` is integers or int64 arrays, broadcast together; another order of the same numbers gives
    other words. `seed` is any integer, taken modulo 2^64.

    Raises:
        TypeError: If `seed` is not an integer.

    Examples:
        >>> derive(0, 1, np.arange(2))
        array([4964578127960768432, 5067554077270220563], dtype=uint64)
    """
    word = mix(seed_words([seed]))
    for step in path:
        word = mix(word ^ np.asarray(step, dtype=np.int64).astype(np.uint64))
    return word


def seed_words(seeds: Sequence[int]) -> Words:
    """Integers of any size and sign as 64-bit words, modulo 2^64.

    Raises:
        TypeError: If one is not an integer.
    """
    return np.array([operator.index(seed) % 2**64 for seed in seeds], dtype=np.uint64)


def uniform(words: Words) -> NDArray[np.float64]:
    """Numbers in [0, 1) with 53 random bits each, one for every word, after one more mixing."""
    return (mix(words) >> np.uint64(11)).astype(np.float64) * 2.0**-53
