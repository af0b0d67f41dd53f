from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.viz.layout import place

HIDDEN = st.lists(st.lists(st.integers(0, 63), unique=True, max_size=64).map(sorted), max_size=4)


@given(HIDDEN)
def test_squares_are_apart_inside_and_in_order(hidden):
    layout = place([[0, 1], *hidden, [0]])
    assert [list(column) for column in layout.columns] == [[0, 1], *hidden, [0]]
    squares = [square for column in layout.columns for square in column.values()]
    assert all(s.left > 0 and s.right < layout.width for s in squares)
    assert all(layout.floor - 1e-9 <= s.bottom for s in squares)
    assert all(s.bottom + s.side < layout.height for s in squares)
    for column in layout.columns:
        for above, below in itertools.pairwise(column.values()):
            assert above.bottom > below.bottom + below.side
    for left, right in itertools.pairwise(column for column in layout.columns if column):
        assert max(s.right for s in left.values()) + 1 < min(s.left for s in right.values())
    assert layout.columns[-1][0].side > 1


@given(HIDDEN)
def test_columns_have_one_axis(hidden):
    layout = place([[0, 1], *hidden, [0]])
    axis = layout.columns[-1][0].middle
    for column in layout.columns:
        if column:
            middles = [square.middle for square in column.values()]
            assert (middles[0] + middles[-1]) / 2 == pytest.approx(axis)
