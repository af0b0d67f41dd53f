"""Bests of n, chances and limits, against every choice written out and exact probabilities."""

from __future__ import annotations

import math
from itertools import combinations
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.experiments import (
    bootstrap_interval,
    chance_of_any,
    expected_best,
    typical_smallest,
    upper_limit,
)

VALUES = st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.95, 1.0]), min_size=1, max_size=8)
SIZES = st.lists(st.sampled_from([30, 31, 40, None]), min_size=1, max_size=8)


@given(values=VALUES, data=st.data())
def test_the_expected_best_is_the_mean_over_all_choices(values: list[float], data: st.DataObject):
    n = data.draw(st.integers(1, len(values)))
    every = mean(max(chosen) for chosen in combinations(values, n))
    assert expected_best(values, n) == pytest.approx(every)


@given(sizes=SIZES, data=st.data())
def test_chances_and_sizes_are_those_of_all_choices(sizes: list[int | None], data: st.DataObject):
    n = data.draw(st.integers(1, len(sizes)))
    smallest = sorted(
        min((s for s in chosen if s is not None), default=math.inf)
        for chosen in combinations(sizes, n)
    )
    hits = sum(size is not None for size in sizes)
    reached = sum(size < math.inf for size in smallest) / len(smallest)
    assert chance_of_any(hits, len(sizes), n) == pytest.approx(reached)
    # The lower median: half of the choices have no larger one.
    middle = smallest[(len(smallest) - 1) // 2]
    assert typical_smallest(sizes, n) == (None if middle == math.inf else middle)


def test_the_estimate_is_unbiased_for_new_runs():
    """Over all samples of five from a distribution of three values, exactly."""
    values, n = [0.5, 0.8, 1.0], 3
    true = mean(max(a, b, c) for a in values for b in values for c in values)
    estimates = [
        expected_best([a, b, c, d, e], n)
        for a in values for b in values for c in values for d in values for e in values
    ]  # fmt: skip
    assert mean(estimates) == pytest.approx(true)


@pytest.mark.parametrize(("hits", "runs"), [(0, 709), (0, 590), (0, 1271), (3, 50), (49, 50)])
def test_the_limit_is_where_so_few_hits_become_unlikely(hits: int, runs: int):
    limit = upper_limit(hits, runs)
    few = sum(math.comb(runs, k) * limit**k * (1 - limit) ** (runs - k) for k in range(hits + 1))
    assert few == pytest.approx(0.05)
    assert upper_limit(runs, runs) == 1
    if hits == 0:
        assert limit == pytest.approx(3 / runs, rel=0.01)


def test_a_bootstrap_interval_covers_a_mean():
    """Of 200 samples of 30 numbers about 190 intervals should; of the mean of a uniform one."""
    import random

    draw = random.Random(0)
    covered = 0
    for seed in range(200):
        sample = [draw.random() for _ in range(30)]
        low, high = bootstrap_interval(sample, mean, samples=200, seed=seed)
        covered += low <= 0.5 <= high
    assert 175 <= covered <= 198


def test_infinity_is_a_number_of_the_bootstrap():
    sizes: list[int | None] = [30, None, None, None, None, None]

    def smallest(chosen: list[int | None]) -> float:
        found = typical_smallest(chosen, 3)
        return math.inf if found is None else found

    assert bootstrap_interval(sizes, smallest) == (30, math.inf)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: expected_best([0.5], 2), ValueError, "n must be at most the number of runs, 1"),
        (lambda: expected_best([0.5], 0), ValueError, "n must be at least 1, got 0"),
        (lambda: expected_best([], 1), ValueError, "values must hold at least one"),
        (lambda: expected_best(["a"], 1), TypeError, "values must be a number"),
        (lambda: chance_of_any(3, 2, 1), ValueError, "hits must be from 0 to 2, got 3"),
        (lambda: chance_of_any(1, 2, 3), ValueError, "n must be at most the number of runs, 2"),
        (lambda: typical_smallest([1.5], 1), TypeError, "sizes must be an integer"),
        (lambda: typical_smallest([3], 2), ValueError, "n must be at most"),
        (lambda: bootstrap_interval([], max), ValueError, "values must hold at least one"),
        (lambda: bootstrap_interval([1], max, confidence=1), ValueError, "confidence must be"),
        (lambda: bootstrap_interval([1], 3), TypeError, "statistic must be"),
        (lambda: bootstrap_interval([1], lambda _: "a"), TypeError, "statistic must be a number"),
        (lambda: bootstrap_interval([1], lambda _: None), TypeError, "statistic must be a number"),
        (lambda: bootstrap_interval([1], lambda _: math.nan), ValueError, "must be finite, got n"),
        (lambda: expected_best("ab", 1), TypeError, "values must be a sequence of values, one a"),
        (lambda: upper_limit(-1, 5), ValueError, "hits must be from 0 to 5, got -1"),
        (lambda: upper_limit(1, 5, confidence=0), ValueError, "confidence must be"),
    ],
)
def test_wrong_arguments_are_named(call: object, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        call()
