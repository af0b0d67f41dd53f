from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.pareto import pareto_front

POINTS = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.integers(0, 12).map(lambda twelfths: twelfths / 12) | st.floats(0, 1),
    ),
    max_size=30,
)


def beats(one: tuple[int, float], other: tuple[int, float]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@given(POINTS)
def test_front_is_the_points_that_none_beats(points):
    expected = {p for p in points if not any(beats(q, p) for q in points)}
    assert pareto_front(points) == sorted(expected)


@given(POINTS, st.integers(0, 12))
def test_front_gives_the_best_at_or_below_each_size(points, size):
    best = max((accuracy for nonzeros, accuracy in points if nonzeros <= size), default=None)
    reached = [accuracy for nonzeros, accuracy in pareto_front(points) if nonzeros <= size]
    assert (reached[-1] if reached else None) == best


def test_numpy_numbers_become_plain_ones():
    front = pareto_front([(np.int64(3), np.float64(0.5))])
    assert front == [(3, 0.5)]
    assert [type(value) for value in front[0]] == [int, float]


@pytest.mark.parametrize("accuracy", [96.04, -0.1, float("nan")])
def test_accuracy_must_be_a_fraction(accuracy):
    with pytest.raises(ValueError, match=r"accuracy must be a fraction in \[0, 1\]"):
        pareto_front([(30, accuracy)])


def test_nonzeros_must_be_a_count():
    with pytest.raises(ValueError, match="nonzeros must be at least 0, got -1"):
        pareto_front([(-1, 0.5)])
    with pytest.raises(TypeError):
        pareto_front([(3.5, 0.5)])  # type: ignore[list-item]
