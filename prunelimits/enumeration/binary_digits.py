"""Arrays of binary numbers and of their digits, and columns of numbers put in order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunelimits.enumeration.eligible_tables import Bits, Integers


def check_nonzero(values: Integers, digits: int, layer: int, lines: tuple[str, ...]) -> None:
    """Raises a ValueError if a weight mask has a zero row or column.

    Args:
        values: The rows of each network's mask, or its columns, as binary numbers: shape
            `(rows or columns, networks)`.
        digits: How many digits each number has.
        layer: Whose weight mask it is, for the message.
        lines: What the numbers are, then what their digits are: `("row", "column")` or the other
            way round. With only the first, zero digits in all numbers are allowed.
    """
    unused = (1 << digits) - 1 & ~np.bitwise_or.reduce(values, axis=0)
    for line, zero in zip(lines, ((values == 0).any(axis=0), unused != 0), strict=False):
        if zero.any():
            raise ValueError(
                f"layers.{layer}.weight of network {int(zero.argmax())} has a zero {line}"
            )


def sorted_columns(numbers: NDArray[Any]) -> NDArray[Any]:
    """`numbers` with each column ascending, by a sorting network: much faster than sorting each."""
    rows = list(numbers)
    for first, second in _comparators(len(rows)):
        low, high = rows[first], rows[second]
        rows[first], rows[second] = np.minimum(low, high), np.maximum(low, high)
    return np.stack(rows)


@cache
def _comparators(size: int) -> tuple[tuple[int, int], ...]:
    """Batcher's odd-even merge sort as pairs of places to put in order."""
    pairs: list[tuple[int, int]] = []
    run = 1
    while run < size:
        distance = run
        while distance:
            for start in range(distance % run, size - distance, 2 * distance):
                pairs += [
                    (first, first + distance)
                    for first in range(start, start + min(distance, size - start - distance))
                    if first // (2 * run) == (first + distance) // (2 * run)
                ]
            distance //= 2
        run *= 2
    return tuple(pairs)


def permuted(values: Integers, permutation: Sequence[int]) -> Integers:
    """Binary numbers with digit u, counted from the most significant, moved to `permutation[u]`."""
    last = len(permutation) - 1
    moved = np.zeros_like(values)
    for unit, image in enumerate(permutation):
        moved |= (values >> (last - unit) & 1) << (last - image)
    return moved


def digits_of(values: Integers, digits: int) -> Bits:
    """The binary digits of `values`, most significant first: shape `(len(values), digits)`."""
    return (values[:, None] >> np.arange(digits - 1, -1, -1) & 1).astype(bool)


def numbers_of(bits: Bits) -> Integers:
    """Binary numbers from their digits: shape `(a, digits, b)` to `(a, b)`."""
    result = np.zeros((bits.shape[0], bits.shape[2]), dtype=np.int64)
    for digit in range(bits.shape[1]):
        result = result << 1 | bits[:, digit]
    return result
