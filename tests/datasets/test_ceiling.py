"""The highest accuracy of any function of the inputs, against counting by hand."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.datasets import accuracy_ceiling, cubist_spiral
from prunelimits.datasets.ceiling import check_reachable, determination_ceiling
from prunelimits.elimination import eliminate
from prunelimits.search import SearchConfig, combinatorial_search


@given(
    st.lists(
        st.tuples(st.integers(-1, 1), st.sampled_from([0.0, -0.0, 0.5]), st.integers(0, 2)),
        min_size=1,
        max_size=25,
    )
)
def test_of_rows_alike_the_most_frequent_label_is_right(rows: list[tuple[int, float, int]]):
    x = torch.tensor([[float(a), b] for a, b, _ in rows])
    y = torch.tensor([label for *_, label in rows])
    alike: dict[tuple[float, float], Counter[int]] = defaultdict(Counter)
    for a, b, label in rows:
        alike[float(a), b][label] += 1
    right = sum(max(counter.values()) for counter in alike.values())
    assert accuracy_ceiling(x, y) == pytest.approx(right / len(rows), abs=1e-15)


def test_the_spiral_can_be_told_apart():
    assert accuracy_ceiling(*cubist_spiral()) == 1.0


def test_images_are_rows_too():
    x = torch.zeros(4, 2, 3, 3)
    x[3, 1, 2, 2] = 1
    assert accuracy_ceiling(x, torch.tensor([0, 0, 1, 1])) == 0.75


X = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).repeat(5, 1)
Y = torch.tensor([0, 1, 1, 0]).repeat(5)


def test_a_target_above_it_is_refused_before_anything_trains():
    check_reachable(0.75, X, Y)
    with pytest.raises(ValueError, match=r"target must be at most 0\.75, as equal rows"):
        check_reachable(0.76, X, Y)
    with pytest.raises(ValueError, match=r"target must be at most 0\.75, as equal rows"):
        eliminate(X, Y, target=0.9, start=(2, 3, 1))
    with pytest.raises(ValueError, match=r"target must be at most 0\.75, as equal rows"):
        combinatorial_search(SearchConfig(target=0.9, widths=(2, 2, 1)), X, Y)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, -0.0, 1.0]), st.integers(-3, 3), st.integers(0, 2)),
        min_size=2,
        max_size=20,
    ).filter(lambda rows: len({row[1:] for row in rows}) > 1)
)
def test_of_rows_alike_the_mean_is_the_best_number(rows: list[tuple[float, int, int]]):
    x = torch.tensor([[a] for a, *_ in rows])
    y = torch.tensor([[float(b), float(c)] for _, b, c in rows])
    left = whole = 0.0
    for column in (1, 2):
        values = [row[column] for row in rows]
        whole += sum((v - sum(values) / len(values)) ** 2 for v in values)
        for place in {row[0] for row in rows}:
            own = [row[column] for row in rows if row[0] == place]
            left += sum((v - sum(own) / len(own)) ** 2 for v in own)
    assert determination_ceiling(x, y) == pytest.approx(1 - left / whole, abs=1e-12)


def test_a_target_of_numbers_that_no_network_reaches_is_refused():
    x = torch.tensor([[1.0], [1.0], [2.0]]).repeat(6, 1)
    y = torch.tensor([0.0, 2.0, 4.0]).repeat(6)
    with pytest.raises(ValueError, match=r"target must be at most 0\.75, as equal rows have diff"):
        eliminate(x, y, target=0.8, start=(1, 3, 1), loss="mse")
    # Rounding of the mean of equal numbers refuses nothing.
    check_reachable(1.0, x, torch.tensor([0.1, 0.1, 0.7]).repeat(6), numbers=True)


def test_what_it_is_measured_on_decides():
    with pytest.raises(ValueError, match=r"target must be at most 0\.75"):
        eliminate(X[2:4], Y[2:4], target=0.9, start=(2, 3, 1), measure=(X, Y))


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="x must have shape"):
        accuracy_ceiling(X, Y[:3])
