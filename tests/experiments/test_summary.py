"""Summaries of a study, against plain loops and exact probabilities."""

from __future__ import annotations

import math
from math import comb
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.experiments import (
    Run,
    RunResult,
    Size,
    front,
    median_interval,
    smallest,
    summarise,
)

RUNS = st.builds(
    Run, st.sampled_from(["GMP", "SNIP"]), st.sampled_from([3, 16]), st.integers(5, 7),
    st.integers(0, 2), st.integers(0, 2),
)  # fmt: skip
RESULTS = st.lists(
    st.builds(
        RunResult, RUNS, st.integers(5, 9), st.integers(1, 5), st.integers(1, 5),
        st.sampled_from([0.5, 0.9, 0.95, 0.99]), st.just(7.0), st.just(8.0),
        st.none() | st.floats(0, 1), st.none() | st.floats(0, 1),
    ),
    unique_by=lambda r: r.run,
)  # fmt: skip
SIZES: tuple[Size, ...] = ("nonzeros", "effective", "trimmed")


@given(results=RESULTS)
def test_summaries(results: list[RunResult]):
    groups: dict[tuple[str, int, int], list[RunResult]] = {}
    for result in results:
        groups.setdefault((result.run.method, result.run.width, result.run.keep), []).append(result)
    found = summarise(results)
    assert [(s.method, s.width, s.keep) for s in found] == sorted(groups)
    for summary in found:
        own = groups[summary.method, summary.width, summary.keep]
        assert summary.runs == len(own)
        assert summary.accuracy == median(r.accuracy for r in own)
        assert summary.connected == median(r.effective / r.nonzeros for r in own)
        assert summary.trimmed == median(r.trimmed / r.nonzeros for r in own)
        assert summary.best in own
        assert all(
            (summary.best.accuracy, -summary.best.nonzeros) >= (r.accuracy, -r.nonzeros)
            for r in own
        )


@given(results=RESULTS, target=st.sampled_from([0.5, 0.91, 0.95, 1.0]))
@pytest.mark.parametrize("size", SIZES)
def test_the_smallest_is_the_front_s_first_at_the_target(
    results: list[RunResult], target: float, size: Size
):
    found = smallest(results, target, size)
    on_front = [point for point in front(results, size) if point[1] >= target]
    if found is None:
        assert not on_front
        return
    assert (getattr(found, size), found.accuracy) == on_front[0]
    assert found in results


@pytest.mark.parametrize("n", range(1, 30))
def test_the_median_s_interval_is_the_narrowest_that_covers(n: int):
    def left_out(k: int) -> float:
        """The chance that the median is below the k-th smallest or above the k-th largest."""
        return 2 * sum(comb(n, i) for i in range(k)) / 2**n

    found = median_interval(range(n))
    if found is None:
        assert left_out(1) > 0.05
        return
    low, high = found
    assert high == n - 1 - low
    assert left_out(int(low) + 1) <= 0.05 < left_out(int(low) + 2)


def test_bad_confidence():
    with pytest.raises(ValueError, match=r"confidence must be above 0 and below 1, got 1\.0"):
        median_interval([1, 2], confidence=1.0)
    assert median_interval([]) is None


@pytest.mark.parametrize("function", [summarise, front, lambda results: smallest(results, 0.5)])
def test_results_that_no_training_gave_are_refused(function):
    good = RunResult(Run("SNIP", 16, 20, 3, 0), 31, 15, 12, 0.75, 7.7e7, 4.1e8)
    with pytest.raises(TypeError, match=r"results\[1\] must be a RunResult, got 3"):
        function([good, 3])
    with pytest.raises(ValueError, match=r"results\[1\], accuracy must be at least 0"):
        function([good, good._replace(accuracy=math.nan)])
    with pytest.raises(TypeError, match=r"results\[0\], run must be a Run, got"):
        function([good._replace(run="SNIP")])
