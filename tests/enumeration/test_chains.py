"""Ranks of chains against all chains listed and sorted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.enumeration.chains import Chains, Level

Cell = tuple[int, int, int, int]


@st.composite
def random_levels(draw: st.DrawFn) -> list[list[Cell]]:
    """Cells (state, nonzeros, next state, size), ascending, of one to four levels."""
    states = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    states[0] = 1
    levels: list[list[Cell]] = []
    for here, after in zip(states, [*states[1:], 1], strict=True):
        keys = st.tuples(st.integers(0, here - 1), st.integers(0, 4), st.integers(0, after - 1))
        cells = draw(st.dictionaries(keys, st.integers(1, 3), max_size=6))
        levels.append(sorted((*key, size) for key, size in cells.items()))
    return levels


def as_levels(levels: list[list[Cell]], scale: int = 1) -> list[Level]:
    return [
        Level(
            [cell[0] for cell in cells],
            [cell[1] for cell in cells],
            [cell[2] for cell in cells],
            [cell[3] * scale for cell in cells],
        )
        for cells in levels
    ]


def chains_listed(levels: list[list[Cell]]) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """All (nonzeros, cells, positions), sorted."""
    found = []
    for cells in itertools.product(*(range(len(level)) for level in levels)):
        state, nonzeros, sizes = 0, 0, []
        for level, cell in zip(levels, cells, strict=True):
            start, ones, next_state, size = level[cell]
            if start != state:
                break
            state, nonzeros = next_state, nonzeros + ones
            sizes.append(size)
        else:
            positions = itertools.product(*map(range, sizes))
            found += [(nonzeros, cells, places) for places in positions]
    return sorted(found)


def as_tuples(columns: list[np.ndarray]) -> list[tuple[int, ...]]:
    return [tuple(int(x) for x in row) for row in zip(*columns, strict=True)]


@given(levels=random_levels(), least=st.integers(0, 9), span=st.integers(0, 9), big=st.booleans())
def test_ranks_follow_the_sorted_list(
    levels: list[list[Cell]], least: int, span: int, big: bool
) -> None:
    everything = chains_listed(levels)
    whole = Chains(as_levels(levels), constant=7)
    assert whole.count == len(everything)
    part = Chains(
        as_levels(levels), constant=7, min_nonzeros=least + 7, max_nonzeros=least + span + 7
    )
    inside = [chain for chain in everything if least <= chain[0] <= least + span]
    for chains, listed in ((whole, everything), (part, inside)):
        assert chains.count == len(listed) == sum(chains.by_nonzeros.values())
        ranks = np.arange(len(listed), dtype=object if big else np.int64)
        if not len(ranks):
            continue
        cells, positions = chains.unrank(ranks)
        assert chains.nonzeros(ranks).tolist() == [chain[0] + 7 for chain in listed]
        assert as_tuples(cells) == [chain[1] for chain in listed]
        assert as_tuples(positions) == [chain[2] for chain in listed]
        assert chains.rank(cells, positions).tolist() == ranks.tolist()
        shuffled = np.random.default_rng(0).permutation(len(ranks))
        cells, positions = chains.unrank(ranks[shuffled])
        assert chains.rank(cells, positions).tolist() == shuffled.tolist()
    if everything:
        cells, positions = whole.unrank(np.arange(len(everything)))
        expected = [inside.index(chain) if chain in inside else -1 for chain in everything]
        assert part.rank(cells, positions).tolist() == expected


@pytest.mark.parametrize("scale", [1, 2**40])
def test_counts_beyond_int64(scale: int) -> None:
    levels = [[(0, 1, 0, 3), (0, 2, 0, 5)]] * 4
    chains = Chains(as_levels(levels, scale))
    assert chains.count == (8 * scale) ** 4
    ranks = np.array([chains.count * part // 7 for part in range(7)] + [chains.count - 1])
    cells, positions = chains.unrank(ranks)
    assert chains.rank(cells, positions).tolist() == ranks.tolist()
    assert all((np.array(position) < 5 * scale).all() for position in positions)
