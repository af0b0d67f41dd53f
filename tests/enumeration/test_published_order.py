"""The order of the paper's published code, against loops that write the list out."""

from __future__ import annotations

import itertools
import pickle
from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelimits.enumeration import EligibleMasks, ModelMasks

from .test_eligible import Rows, as_rows


def row_counts(ones: int, rows: int, most: int) -> Iterator[tuple[int, ...]]:
    """Non-increasing counts of ones by row, the top row's ascending first."""
    for counts in itertools.product(range(1, most + 1), repeat=rows):
        if sum(counts) == ones and list(counts) == sorted(counts, reverse=True):
            yield counts


def stacked(counts: tuple[int, ...], d_in: int) -> Iterator[Rows]:
    """Matrices with these counts: the loop over the last row is outermost, over the top innermost.

    The rows with k ones come in the order of combinations of columns: leftmost columns first.
    """
    for below in stacked(counts[1:], d_in) if counts[1:] else [()]:
        for columns in itertools.combinations(range(d_in), counts[0]):
            row = tuple(int(column in columns) for column in range(d_in))
            if not below or sum(below[0]) < sum(row) or below[0] <= row:
                yield (row, *below)


def published_list(d_in: int, d_out: int, columns: str = "all") -> list[Rows]:
    return [
        rows
        for ones in range(d_out, d_in * d_out + 1)
        for counts in row_counts(ones, d_out, d_in)
        for rows in stacked(counts, d_in)
        if columns == "any" or all(map(any, zip(*rows, strict=True)))
    ]


SHAPES = [(d_in, d_out) for d_in in range(1, 5) for d_out in range(1, 4)] + [(2, 5), (3, 4), (5, 3)]


@pytest.mark.slow
@pytest.mark.parametrize("tables", [True, False])
@pytest.mark.parametrize("columns", ["all", "any"])
@pytest.mark.parametrize(("d_in", "d_out"), SHAPES)
def test_list_is_that_of_the_loops(
    d_in: int, d_out: int, columns, tables: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not tables:
        monkeypatch.setattr("prunelimits.enumeration.eligible.TABLE_ROWS", 0)
    expected = published_list(d_in, d_out, columns)
    space = EligibleMasks(d_in, d_out, columns=columns, order="published")
    assert [as_rows(mask) for mask in space] == expected
    step = 1 if len(expected) < 500 else 37
    ranks = range(0, len(expected), step)
    assert [space.index(space[rank]) for rank in ranks] == list(ranks)
    ascending = EligibleMasks(d_in, d_out, columns=columns)
    assert space.counts_by_nonzeros() == ascending.counts_by_nonzeros()
    assert {as_rows(mask) for mask in ascending} == set(expected)


@settings(max_examples=40)
@given(d_in=st.integers(1, 12), d_out=st.integers(1, 12), data=st.data())
def test_round_trip_of_any_size(d_in: int, d_out: int, data: st.DataObject) -> None:
    space = EligibleMasks(d_in, d_out, order="published")
    rank = data.draw(st.integers(0, space.count - 1))
    masks = space.take([rank, min(rank + 1, space.count - 1)])
    assert space.index(masks[0]) == rank
    keys = [
        (
            sum(map(sum, rows)),
            tuple(map(sum, rows)),
            [[-bit for bit in row] for row in reversed(rows)],
        )
        for rows in map(as_rows, masks)
    ]
    assert keys[0] < keys[1] or rank == space.count - 1


def first_of_each_count(d_in: int, d_out: int, first: int, order) -> set[Rows]:
    by_ones: dict[int, list[Rows]] = defaultdict(list)
    for mask in EligibleMasks(d_in, d_out, order=order):
        by_ones[int(mask.sum())].append(as_rows(mask))
    return {rows for masks in by_ones.values() for rows in masks[:first]}


@pytest.mark.slow
@pytest.mark.parametrize(("d_in", "first", "masks", "shared"), [(7, 3, 43, 2), (6, 6, 73, 11)])
def test_the_published_choice_is_another_one_than_the_first_ascending(
    d_in: int, first: int, masks: int, shared: int
) -> None:
    published = first_of_each_count(d_in, 3, first, "published")
    ascending = first_of_each_count(d_in, 3, first, "ascending")
    assert len(published) == len(ascending) == masks
    assert len(published & ascending) == shared


@pytest.mark.slow
@pytest.mark.parametrize(
    ("widths", "weights_below", "first", "count"),
    [
        pytest.param((2, 7, 3, 3, 1), 33, 3, 63_208, marks=pytest.mark.long),
        ((2, 6, 3, 2, 1), 31, 6, 23_528),
    ],
)
def test_the_papers_subsets_are_those_of_its_loops(
    widths: tuple[int, ...], weights_below: int, first: int, count: int
) -> None:
    """Appendix D: weights of the first three layers below a bound, the first masks of the second.

    A bound on nonzeros is one on those weights, as the classifier and the biases are always whole.
    """
    whole = widths[-2] + sum(widths[1:])
    nets = ModelMasks(
        widths,
        max_nonzeros=weights_below - 1 + whole,
        first_per_count={1: first},
        order="published",
    )
    assert len(nets) == count
    second = first_of_each_count(widths[1], widths[2], first, "published")
    layers = [
        [(int(mask.sum()), mask) for mask in EligibleMasks(*shape)]
        for shape in itertools.pairwise(widths)
    ]
    layers[1] = [part for part in layers[1] if as_rows(part[1]) in second]
    expected = {
        b"".join(mask.numpy().tobytes() for _, mask in parts)
        for parts in itertools.product(*layers)
        if sum(ones for ones, _ in parts[:3]) < weights_below
    }
    found = {
        b"".join(masks[f"layers.{layer}.weight"].numpy().tobytes() for layer in range(4))
        for masks in nets
    }
    assert found == expected
    some = range(0, count, 5003)
    assert nets.ranks(nets.take(some)).tolist() == list(some)


def test_the_order_is_part_of_a_space() -> None:
    layer = EligibleMasks(3, 2, order="published")
    assert repr(layer) == "EligibleMasks(3, 2, order='published')"
    assert pickle.loads(pickle.dumps(layer)) == layer != EligibleMasks(3, 2)
    nets = ModelMasks((2, 3, 1), order="published")
    assert repr(nets) == "ModelMasks((2, 3, 1), symmetry='layer', order='published')"
    assert pickle.loads(pickle.dumps(nets)) == nets != ModelMasks((2, 3, 1))
    with pytest.raises(ValueError, match="order must be one of 'ascending', 'published', got 'as'"):
        EligibleMasks(3, 2, order="as")
    with pytest.raises(ValueError, match="order must be left out with symmetry='network'"):
        ModelMasks((2, 3, 1), "network", order="published")
