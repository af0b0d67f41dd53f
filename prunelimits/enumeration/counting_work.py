"""An estimate of how long counting networks takes, so that endless counts are refused."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

from prunelimits.arguments import shown

MOST_WORK = 10_000_000
"""Counts that would take more microseconds than this, by the estimate, are refused."""

MOST_UNITS = 100
"""There are 190 million cycle types of 100 units: a wider hidden layer is beyond `MOST_WORK`."""


def check_work(widths: tuple[int, ...], *, by_nonzeros: bool) -> None:
    """Raises if networks of these widths would take too long to count.

    Raises:
        ValueError: If they would.

    Examples:
        >>> check_work((2, 15, 15, 1), by_nonzeros=False)
        >>> check_work((2, 20, 20, 1), by_nonzeros=False)
        Traceback (most recent call last):
        ...
        ValueError: widths must be smaller to be counted in seconds, got (2, 20, 20, 1): the time \
grows with the cycle types of the hidden layers' permutations and with the weights
    """
    if counting_work(widths, by_nonzeros=by_nonzeros) > MOST_WORK:
        raise ValueError(
            f"widths must be smaller to be counted in seconds, got {shown(widths)}: the time grows "
            "with the cycle types of the hidden layers' permutations and with the weights"
        )


def counting_work(widths: tuple[int, ...], *, by_nonzeros: bool) -> float:
    """About how many microseconds Burnside's lemma takes, infinite for a wide hidden layer.

    Each pair of cycle types of neighbouring layers takes a sum over the sets of cycles of one of
    them. A cycle type of n units with a set of its cycles is a partition of n into parts of two
    colours. The numbers in a sum have a bit for each weight; by nonzeros, they are polynomials of
    such numbers, packed into one.

    Args:
        widths: Inputs, hidden units of each layer, outputs.
        by_nonzeros: Whether networks are counted for each number of nonzeros.
    """
    hidden = widths[1:-1]
    weights = sum(d_in * d_out for d_in, d_out in pairwise(widths))
    bits = weights
    if max(hidden, default=0) > MOST_UNITS or weights > MOST_WORK:
        return math.inf
    if by_nonzeros:
        bits *= weights + sum(math.factorial(units).bit_length() for units in hidden)
    # Inputs and outputs are not permuted: they have one cycle type, each unit by itself.
    types = [1, *(_partitions(1)[units] for units in hidden), 1]
    sets = [widths[0] + 1, *(_partitions(2)[units] for units in hidden), widths[-1] + 1]
    sums = sum(
        min(sets[layer] * types[layer + 1], types[layer] * sets[layer + 1])
        for layer in range(len(widths) - 1)
    )
    # Measured: microseconds for the products of integers of so many bits.
    return sums * (12 + 4e-6 * bits**1.7)


@cache
def _partitions(colours: int) -> list[int]:
    """The partitions of 0 to `MOST_UNITS` into parts that come in so many colours.

    Examples:
        >>> _partitions(1)[:7], _partitions(2)[:4]
        ([1, 1, 2, 3, 5, 7, 11], [1, 2, 5, 10])
    """
    counts = [1] + [0] * MOST_UNITS
    for part in [*range(1, MOST_UNITS + 1)] * colours:
        for total in range(part, MOST_UNITS + 1):
            counts[total] += counts[total - part]
    return counts
