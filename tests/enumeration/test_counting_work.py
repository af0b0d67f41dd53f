"""What would never be counted is told beforehand, and what is counted in seconds is not refused."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from prunelimits.enumeration import (
    EligibleMasks,
    ModelMasks,
    count_networks,
    count_networks_by_nonzeros,
    every_widths,
)
from prunelimits.enumeration.burnside import cycle_classes
from prunelimits.enumeration.counting_work import MOST_UNITS, MOST_WORK, counting_work

SIZES_BEYOND_COUNTING = [
    (lambda: count_networks((2, 10**6, 1)), "widths"),
    (lambda: count_networks((2, 20, 20, 1)), "widths"),
    (lambda: count_networks((3000, 3000)), "widths"),
    (lambda: count_networks_by_nonzeros((2, 60, 1)), "widths"),
    (lambda: count_networks_by_nonzeros((2,) * 2000), "widths"),
    (lambda: EligibleMasks(10**9, 2), "d_in"),
    (lambda: EligibleMasks(10**5000, 2), "d_in"),
    (lambda: EligibleMasks(1000, 1000), "d_in x d_out"),
    (lambda: EligibleMasks(22, 250_000), "d_in x d_out"),
    (lambda: ModelMasks((2, 10**6, 1)).count, "widths"),
    (lambda: ModelMasks((2,) * 2000).count, "widths"),
    (lambda: ModelMasks((2, 10**6, 1), "network").count, "widths"),
    (lambda: ModelMasks((2,) * 30, "network")[0], "widths"),
    (lambda: every_widths(60), "max_nonzeros"),
    (lambda: every_widths(10**30, hidden_layers=100), "max_nonzeros"),
    (lambda: every_widths(8, hidden_layers=101), "hidden_layers"),
]


@pytest.mark.parametrize(("call", "name"), SIZES_BEYOND_COUNTING)
def test_sizes_that_would_never_be_counted_are_refused_at_once(
    call: Callable[[], object], name: str
):
    begun = time.perf_counter()
    with pytest.raises(ValueError, match=name):
        call()
    assert time.perf_counter() - begun < 2


def test_sizes_that_are_large_and_quick_are_counted():
    assert EligibleMasks(2, 10**9).count == math.comb(10**9 + 2, 2) - 2
    assert count_networks((1, 1)) == 1
    assert count_networks((10**6, 1, 1)) == 1
    assert every_widths(10**30, hidden_layers=0)[0].widths == (2, 1)
    assert every_widths(3000, d_in=1000, d_out=1000) == []


def sums_of(widths: tuple[int, ...]) -> int:
    """The sums over sets of cycles that Burnside's lemma takes, one type after another."""
    types = [[((1, widths[0]),)]]
    types += [[cycles for cycles, _ in cycle_classes(units)] for units in widths[1:-1]]
    types += [[((1, widths[-1]),)]]

    def sets(layer: int) -> int:
        return sum(math.prod(number + 1 for _, number in cycles) for cycles in types[layer])

    return sum(
        min(sets(layer) * len(types[layer + 1]), len(types[layer]) * sets(layer + 1))
        for layer in range(len(widths) - 1)
    )


@pytest.mark.parametrize("widths", [(2, 1), (3, 4, 2), (2, 7, 3, 3, 1), (2, 12, 5, 9)])
def test_the_work_is_that_of_the_sums_over_all_pairs_of_cycle_types(widths: tuple[int, ...]):
    weights = sum(a * b for a, b in pairwise(widths))
    expected = sums_of(widths) * (12 + 4e-6 * weights**1.7)
    assert counting_work(widths, by_nonzeros=False) == pytest.approx(expected)


def test_the_most_units_are_beyond_what_is_counted():
    assert counting_work((1, MOST_UNITS, 1), by_nonzeros=False) > MOST_WORK
    assert counting_work((1, MOST_UNITS + 1, 1), by_nonzeros=False) == math.inf
