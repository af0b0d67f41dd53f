"""Comparing at equal effort: what a best of so many runs says, and how sure it is.

The best of 45 runs is better than the best of 9 for no other reason than that there are more of
them. So methods and widths are compared by the best of the same number n, as it would be on average
over all choices of n runs of those that were made; and a share of runs comes with a limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from prunelimits.arguments import (
    checked_callable,
    checked_integer,
    checked_number,
    checked_sequence,
    checked_size,
)

_Value = TypeVar("_Value")


def expected_best(values: Sequence[float], n: int) -> float:
    """The mean of the largest of `n` of the values, over all ways to choose `n` of them.

    For values of independent runs it is an unbiased estimate of what the best of `n` runs is on
    average: sum_i C(i - 1, n - 1) / C(N, n) x_i over the N values x_1 <= ... <= x_N.

    Args:
        values: One a run.
        n: How many runs the best is of; at most as many as there are values.

    Raises:
        ValueError: If `n` is below 1 or above the number of values.
        TypeError: If a value is no number, or `n` no integer.

    Examples:
        >>> expected_best([0.5, 0.9, 0.6], 1), expected_best([0.5, 0.9, 0.6], 3)
        (0.6666666666666666, 0.9)
        >>> round(expected_best([0.5, 0.9, 0.6], 2), 12)
        0.8
    """
    numbers = sorted(checked_number("values", value) for value in _sequence("values", values))
    n = _checked_n(n, len(numbers))
    whole = math.comb(len(numbers), n)
    return sum(math.comb(i, n - 1) / whole * value for i, value in enumerate(numbers))


def chance_of_any(hits: int, runs: int, n: int) -> float:
    """The chance that `n` of the runs, chosen at random, include a hit: unbiased for new runs.

    1 - C(runs - hits, n) / C(runs, n).

    Raises:
        ValueError: If `hits` is not from 0 to `runs`, or `n` not from 1 to `runs`.
        TypeError: If one is no integer.

    Examples:
        >>> chance_of_any(1, 10, 5), chance_of_any(0, 10, 5), chance_of_any(6, 10, 5)
        (0.5, 0.0, 1.0)
    """
    runs = checked_size("runs", runs)
    hits = checked_integer("hits", hits, 0, runs)
    n = _checked_n(n, runs)
    return 1 - math.comb(runs - hits, n) / math.comb(runs, n)


def typical_smallest(sizes: Sequence[int | None], n: int) -> int | None:
    """The median, over all ways to choose `n` of the runs, of the smallest size that they reach.

    Args:
        sizes: One a run: the smallest size with which it reaches a target; None: it does not.
        n: How many runs the smallest is of.

    Returns:
        None if more than half of the choices reach no size at all.

    Raises:
        ValueError: If `n` is below 1 or above the number of sizes, or a size is negative.
        TypeError: If a size is neither an integer nor None, or `n` no integer.

    Examples:
        >>> typical_smallest([30, None, None, 40], 1), typical_smallest([30, None, None, 40], 2)
        (40, 30)
        >>> typical_smallest([30, None, None, None], 1) is None
        True
    """
    given = _sequence("sizes", sizes)
    reached = sorted(checked_integer("sizes", size, 0) for size in given if size is not None)
    n = _checked_n(n, len(given))
    for hits, size in enumerate(reached, start=1):
        if 2 * math.comb(len(given) - hits, n) <= math.comb(len(given), n):
            return size
    return None


def bootstrap_interval(
    values: Sequence[_Value],
    statistic: Callable[[Sequence[_Value]], float],
    *,
    confidence: float = 0.95,
    samples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile interval of a statistic, from resamples of the values with replacement.

    The values must be independent: in a study, one for each initialisation, not one for each run
    from it. The interval of a best of n is of use only where there are several times n values.

    Args:
        values: What was measured.
        statistic: A number of as many values; infinity is one.
        confidence: How often the interval is to cover the truth, in (0, 1).
        samples: How many resamples.
        seed: Decides them.

    Raises:
        ValueError: If there are no values, a number is out of its range, or the statistic is NaN.
        TypeError: If an argument is of another kind, or the statistic no number.

    Examples:
        >>> low, high = bootstrap_interval([1.0, 2.0, 3.0, 4.0], max)
        >>> 1.0 <= low < high == 4.0
        True
    """
    given = _sequence("values", values)
    checked_callable("statistic", statistic, "a function of values")
    confidence = checked_number("confidence", confidence, above=0, below=1)
    samples, seed = checked_size("samples", samples), checked_integer("seed", seed, 0, 2**63 - 1)
    generator = torch.Generator("cpu").manual_seed(seed)
    chosen = torch.randint(len(given), (samples, len(given)), generator=generator, device="cpu")
    found = sorted(_number(statistic([given[i] for i in row])) for row in chosen.tolist())
    cut = int((1 - confidence) / 2 * samples)
    return found[cut], found[-1 - cut]


def upper_limit(hits: int, runs: int, *, confidence: float = 0.95) -> float:
    """The largest share that `hits` of `runs` leave possible, by Clopper and Pearson, one-sided.

    With a larger share so few hits would have a chance below 1 - `confidence`. Without a hit it is
    about 3 / `runs` at 95 %, the rule of three.

    Raises:
        ValueError: If `hits` is not from 0 to `runs`, or `confidence` not in (0, 1).
        TypeError: If an argument is of another kind.

    Examples:
        >>> round(upper_limit(0, 300), 4), round(upper_limit(3, 300), 4), upper_limit(5, 5)
        (0.0099, 0.0256, 1.0)
    """
    runs = checked_size("runs", runs)
    hits = checked_integer("hits", hits, 0, runs)
    confidence = checked_number("confidence", confidence, above=0, below=1)
    # Here, because it takes long to import.
    from scipy.special import betaincinv

    return 1.0 if hits == runs else float(betaincinv(hits + 1, runs - hits, confidence))


def _number(value: float) -> float:
    """What a statistic gave, which may be infinite."""
    if not isinstance(value, bool) and isinstance(value, float | int) and math.isinf(value):
        return value
    return checked_number("statistic", value)


def _checked_n(n: int, runs: int) -> int:
    n = checked_size("n", n)
    if n > runs:
        raise ValueError(f"n must be at most the number of runs, {runs}, got {n}")
    return n


def _sequence(name: str, values: Sequence[_Value]) -> Sequence[_Value]:
    given = checked_sequence(name, values, "values, one a run")
    if not given:
        raise ValueError(f"{name} must hold at least one, got none")
    return values
