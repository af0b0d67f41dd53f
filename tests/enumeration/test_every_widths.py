"""All networks with few nonzeros over all widths."""

from __future__ import annotations

import itertools

import pytest

from prunelimits.enumeration import count_networks_by_nonzeros, every_widths
from prunelimits.enumeration.every_widths import fewest_nonzeros


@pytest.mark.parametrize(("most", "count"), [(28, 80_578), (30, 308_575), (32, 1_228_706)])
def test_known_counts(most: int, count: int) -> None:
    assert sum(space.count for space in every_widths(most)) == count


def test_every_space_streams_what_it_counts() -> None:
    for space in every_widths(26):
        rows = space.take(range(space.count))
        assert space.ranks(rows).tolist() == list(range(space.count))
        assert int(rows.sum(1).max()) <= 26


@pytest.mark.parametrize(
    ("most", "d_in", "d_out", "hidden_layers"),
    [(14, 2, 1, 2), (13, 1, 2, 2), (12, 3, 2, 1), (9, 2, 2, 0), (12, 2, 1, 3), (5, 2, 1, 3)],
)
def test_widths_are_those_found_by_trying_all(
    most: int, d_in: int, d_out: int, hidden_layers: int
) -> None:
    spaces = every_widths(most, d_in=d_in, d_out=d_out, hidden_layers=hidden_layers)
    hidden = itertools.product(range(1, most + 1), repeat=hidden_layers)
    expected = {}
    for units in hidden:
        widths = (d_in, *units, d_out)
        if sum(widths[1:]) <= most:
            counts = count_networks_by_nonzeros(widths, max_nonzeros=most)
            if counts:
                expected[widths] = counts
                assert min(counts) == fewest_nonzeros(widths)
    assert {space.widths: space.counts_by_nonzeros() for space in spaces} == expected
    order = [(fewest_nonzeros(space.widths), space.widths) for space in spaces]
    assert order == sorted(order)
    assert all(space.max_nonzeros == most and space.symmetry == "network" for space in spaces)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_nonzeros": -1}, ValueError, "max_nonzeros must be at least 0"),
        ({"max_nonzeros": 9.5}, TypeError, "max_nonzeros must be an integer"),
        ({"max_nonzeros": 9, "d_in": 0}, ValueError, "d_in must be at least 1, got 0"),
        ({"max_nonzeros": 9, "d_out": True}, TypeError, "d_out must be an integer"),
        (
            {"max_nonzeros": 9, "hidden_layers": -1},
            ValueError,
            "hidden_layers must be from 0 to 100",
        ),
    ],
)
def test_bad_arguments(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        every_widths(**arguments)
