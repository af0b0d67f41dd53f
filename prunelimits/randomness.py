"""Random numbers by position: every number is a pure function of its seed and its place.

No state, so a network is the same whatever is drawn beside it, before it or after it, and a wide
network's leading block is the narrow network of the same seed. The generator is SplitMix64
(Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), used as a hash.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from prunelimits.arguments import checked_integer, checked_integers, shown

Words: TypeAlias = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

_FEISTEL_ROUNDS = 8
"""Four are enough for large domains (Luby and Rackoff); small ones need more to look random."""


def mix(word: Words) -> Words:
    """SplitMix64's finaliser of `word + golden ratio`, elementwise: a bijection of 64-bit words.

    Raises:
        TypeError: If `word` is not an array, or a scalar, of uint64.
    """
    if getattr(word, "dtype", None) != np.uint64:
        raise TypeError(f"word must be an array of uint64, got {shown(word)}")
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
        TypeError: If `seed` or something in `path` is not an integer.
        ValueError: If an integer of `path` does not fit int64.

    Examples:
        >>> derive(0, 1, np.arange(2))
        array([4964578127960768432, 5067554077270220563], dtype=uint64)
    """
    word = mix(seed_words([checked_integer("seed", seed)]))
    for number, step in enumerate(path):
        if isinstance(step, np.ndarray):
            if step.dtype.kind not in "iu":
                raise TypeError(f"path[{number}] must be integers, got {shown(step)}")
            steps = step.astype(np.uint64)
        else:
            steps = np.int64(checked_integer(f"path[{number}]", step, -(2**63), 2**63 - 1))
        word = mix(word ^ steps.astype(np.uint64))
    return word


def seed_words(seeds: Sequence[int]) -> Words:
    """Integers of any size and sign as 64-bit words, modulo 2^64.

    Raises:
        TypeError: If one is not an integer.
    """
    integers = checked_integers("seeds", seeds)
    return np.array([seed % 2**64 for seed in integers], dtype=np.uint64)


def uniform(words: Words) -> NDArray[np.float64]:
    """Numbers in [0, 1) with 53 random bits each, one for every word, after one more mixing.

    Raises:
        TypeError: If `words` is not an array of uint64.
    """
    if getattr(words, "dtype", None) != np.uint64:
        raise TypeError(f"words must be an array of uint64, got {shown(words)}")
    return (mix(words) >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class Permutation:
    """A pseudorandom permutation of 0 to `count - 1`, computed by position: nothing is stored.

    A shuffled list of any length, also beyond 2^64, of which each entry costs the same: a Feistel
    network on a grid of about sqrt(count) by sqrt(count) cells, walked on where it leaves the
    range ([Black and Rogaway, "Ciphers with Arbitrary Finite Domains"
    ](https://doi.org/10.1007/3-540-45760-7_9)). A few millions of entries a second below 2^62.

    Args:
        count: How many numbers are permuted, at least 1.
        seed: Which permutation; any integer, taken modulo 2^64.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If `count` is below 1.

    Examples:
        >>> shuffled = Permutation(10, seed=0)
        >>> shuffled.at(range(10))
        array([6, 2, 7, 4, 3, 8, 1, 5, 9, 0])
        >>> shuffled.positions([6, 2])
        array([0, 1])
        >>> Permutation(2**200, seed=0).at([0])[0] < 2**200
        True
    """

    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", checked_integer("count", self.count, 1))
        object.__setattr__(self, "seed", checked_integer("seed", self.seed))

    def at(self, positions: Sequence[int] | NDArray[Any]) -> NDArray[Any]:
        """The numbers at `positions` of the shuffled list, each from 0 to `count - 1`.

        Returns:
            Shape `(len(positions),)`: int64, or Python integers (dtype object) from 2^62 on.

        Raises:
            TypeError: If the positions are not a sequence of integers.
            IndexError: If one lies outside 0 to `count - 1`.
        """
        return self._walk(self._checked("positions", positions), forwards=True)

    def positions(self, numbers: Sequence[int] | NDArray[Any]) -> NDArray[Any]:
        """Where `numbers` are in the shuffled list: the inverse of `at`, with the same errors."""
        return self._walk(self._checked("numbers", numbers), forwards=False)

    @property
    def _dtype(self) -> type[np.int64] | type[object]:
        # Cells of the grid beyond `count` must fit too.
        return np.int64 if self.count < 2**62 else object

    @cached_property
    def _sides(self) -> tuple[int, int]:
        """Rows and columns of the least grid of nearly equal sides with `count` cells or more."""
        rows = math.isqrt(self.count - 1) + 1
        return rows, -(-self.count // rows)

    @cached_property
    def _keys(self) -> Words:
        """One key for each round of the Feistel network."""
        return derive(self.seed, np.arange(_FEISTEL_ROUNDS))

    def _walk(self, cells: NDArray[Any], *, forwards: bool) -> NDArray[Any]:
        """The images of `cells`: on each one's cycle through the grid, the next in the range."""
        result = self._feistel(cells, forwards=forwards)
        outside = np.flatnonzero(result >= self.count)
        while len(outside):
            result[outside] = self._feistel(result[outside], forwards=forwards)
            outside = outside[result[outside] >= self.count]
        return result

    def _feistel(self, cells: NDArray[Any], *, forwards: bool) -> NDArray[Any]:
        """A permutation of the grid: each column is shifted by an amount, each row, and so on."""
        sides = self._sides
        at = [cells // sides[1], cells % sides[1]]
        rounds = range(_FEISTEL_ROUNDS)
        for number in rounds if forwards else reversed(rounds):
            moved = number % 2
            shift = self._shift(number, at[1 - moved], sides[moved])
            at[moved] = (at[moved] + (shift if forwards else sides[moved] - shift)) % sides[moved]
        return at[0] * sides[1] + at[1]

    def _shift(self, number: int, line: NDArray[Any], side: int) -> NDArray[Any]:
        """How far round `number` shifts each of the lines: pseudorandom, from 0 to `side - 1`."""
        if self._dtype is np.int64:
            words = mix(self._keys[number] ^ line.astype(np.uint64))
            return (words % np.uint64(side)).astype(np.int64)
        # Sides of more than 31 bits: lines are hashed limb by limb, and shifts are made of so many
        # words that the remainder is as good as uniform.
        limbs = [
            (line >> bit & 2**64 - 1).astype(np.uint64)
            for bit in range(0, max(self._sides).bit_length(), 64)
        ]
        word = np.broadcast_to(self._keys[number], line.shape)
        for limb in limbs:
            word = mix(word ^ limb)
        shift = np.zeros(line.shape, dtype=object)
        for place in range(len(limbs) + 1):
            shift = shift << 64 | mix(word ^ np.uint64(place)).astype(object)
        return shift % side

    def _checked(self, name: str, values: Sequence[int] | NDArray[Any]) -> NDArray[Any]:
        if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "iu":
            array: NDArray[Any] = values
        else:
            array = np.array(checked_integers(name, values), dtype=object)
        for value in (int(array.min()), int(array.max())) if len(array) else ():
            if not 0 <= value < self.count:
                raise IndexError(f"{name} must lie in 0 to {self.count - 1}, got {value}")
        return array.astype(self._dtype)
