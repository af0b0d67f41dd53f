"""Ranks of whole networks, where the masks of one level decide which the next one may have.

A space of whole networks is a chain of levels (the weight matrices, or blocks of them). A level's
masks fall into *cells*, each a list of masks with equal nonzeros that leads from one state to the
next; where the levels are independent there is one state. A network is a chain of cells, each
starting in the state where the one before it ended, and one mask of each cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunelimits.enumeration.lazy_sequence import number_dtype

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Level:
    """The cells of one level, ascending in (state, nonzeros, next state).

    Attributes:
        state: The state each cell starts in, numbered from 0.
        nonzeros: The nonzeros of each of a cell's masks.
        next_state: The state each cell leads to.
        size: The number of masks in each cell.
    """

    state: Sequence[int]
    nonzeros: Sequence[int]
    next_state: Sequence[int]
    size: Sequence[int]


class Chains:
    """Ranks of all chains through `levels` from state 0, and back.

    Ranks ascend in (total nonzeros, tuple of cells, tuple of positions inside the cells), so every
    interval of nonzeros is one interval of ranks. Chains are found by dynamic programming over
    (level, state, nonzeros left), never listed.

    Args:
        levels: The levels in order; the last one's next states are not used.
        constant: Nonzeros that every chain has besides those of its cells.
        min_nonzeros: Chains with fewer nonzeros in all are left out.
        max_nonzeros: Chains with more nonzeros in all are left out.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        *,
        constant: int = 0,
        min_nonzeros: int | None = None,
        max_nonzeros: int | None = None,
    ) -> None:
        self._levels = levels
        self._nonzeros = [np.array(level.nonzeros, dtype=np.int64) for level in levels]
        self._next_states = [np.array(level.next_state, dtype=np.int64) for level in levels]
        self._ways = _ways_by_nonzeros(levels)
        self.by_nonzeros = {
            nonzeros + constant: ways
            for nonzeros, ways in sorted(self._ways[0].get(0, {}).items())
            if (min_nonzeros is None or min_nonzeros <= nonzeros + constant)
            and (max_nonzeros is None or nonzeros + constant <= max_nonzeros)
        }
        self.count = sum(self.by_nonzeros.values())
        self._dtype = number_dtype(self.count)
        # A cell with more masks than there are chains within the bounds is on none of them, and its
        # size, which may not fit the dtype, is never used.
        self._sizes = [
            np.array([min(size, self.count) for size in level.size], dtype=self._dtype)
            for level in levels
        ]
        self._totals = np.array(list(self.by_nonzeros), dtype=np.int64)
        starts = [0, *accumulate(self.by_nonzeros.values())][:-1]
        self._starts = np.array(starts, dtype=self._dtype)
        self._constant = constant
        self._choices_cache: dict[tuple[int, int, int], tuple[Integers, NDArray[Any]]] = {}

    def nonzeros(self, ranks: NDArray[Any]) -> Integers:
        """The total nonzeros of the chains at `ranks`."""
        return self._totals[np.searchsorted(self._starts, ranks, side="right") - 1]

    def unrank(self, ranks: NDArray[Any]) -> tuple[list[Integers], list[NDArray[Any]]]:
        """For each level, the cells of the chains at `ranks` and the positions inside them."""
        which = np.searchsorted(self._starts, ranks, side="right") - 1
        left = self._totals[which] - self._constant
        residual = ranks - self._starts[which]
        state = np.zeros(len(ranks), dtype=np.int64)
        # How many choices of positions there are in the cells so far: every chain of later cells
        # occurs with each of them.
        radix = np.ones(len(ranks), dtype=self._dtype)
        cells: list[Integers] = []
        for level, nonzeros in enumerate(self._nonzeros):
            cell = np.empty(len(ranks), dtype=np.int64)
            for at, state_here, left_here in _groups(state, left):
                choices, starts = self._choices(level, state_here, left_here)
                chosen = np.searchsorted(starts, residual[at] // radix[at], side="right") - 1
                residual[at] -= radix[at] * starts[chosen]
                cell[at] = choices[chosen]
            cells.append(cell)
            radix *= self._sizes[level][cell]
            left -= nonzeros[cell]
            state = self._next_states[level][cell]
        positions: list[NDArray[Any]] = []
        for level in reversed(range(len(cells))):
            size = self._sizes[level][cells[level]]
            positions.append(residual % size)
            residual //= size
        return cells, positions[::-1]

    def rank(self, cells: Sequence[Integers], positions: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """The ranks of chains given as by `unrank`; -1 for those outside the bounds on nonzeros."""
        left = sum(
            (nonzeros[cell] for nonzeros, cell in zip(self._nonzeros, cells, strict=True)),
            np.zeros(len(cells[0]), dtype=np.int64),
        )
        total = left + self._constant
        which = np.searchsorted(self._totals, total)
        inside = which < len(self._totals)
        inside[inside] = self._totals[which[inside]] == total[inside]
        kept = np.flatnonzero(inside)
        left, state = left[kept], np.zeros(len(kept), dtype=np.int64)
        rank = self._starts[which[kept]]
        radix = np.ones(len(kept), dtype=self._dtype)
        position = np.zeros(len(kept), dtype=self._dtype)
        for level, nonzeros in enumerate(self._nonzeros):
            cell = cells[level][kept]
            size = self._sizes[level][cell]
            for at, state_here, left_here in _groups(state, left):
                choices, starts = self._choices(level, state_here, left_here)
                rank[at] += radix[at] * starts[np.searchsorted(choices, cell[at])]
            radix *= size
            position = position * size + positions[level][kept].astype(self._dtype)
            left -= nonzeros[cell]
            state = self._next_states[level][cell]
        result = np.full(len(total), -1, dtype=self._dtype)
        result[kept] = rank + position
        return result

    def _choices(self, level: int, state: int, left: int) -> tuple[Integers, NDArray[Any]]:
        """The cells that can come next, and for each how many chains take one before it."""
        key = (level, state, left)
        if key not in self._choices_cache:
            here, after = self._levels[level], self._ways[level + 1]
            cells: list[int] = []
            ways: list[int] = []
            for cell, (start, nonzeros, next_state, size) in enumerate(
                zip(here.state, here.nonzeros, here.next_state, here.size, strict=True)
            ):
                if start == state:
                    chains = size * after.get(next_state, {}).get(left - nonzeros, 0)
                    if chains:
                        cells.append(cell)
                        ways.append(chains)
            starts = np.array([0, *accumulate(ways)][:-1], dtype=self._dtype)
            self._choices_cache[key] = np.array(cells, dtype=np.int64), starts
        return self._choices_cache[key]


def _ways_by_nonzeros(levels: Sequence[Level]) -> list[dict[int, dict[int, int]]]:
    """For each level and state, the chains from there to the end by nonzeros."""
    end = set(levels[-1].next_state)
    ways: list[dict[int, dict[int, int]]] = [{state: {0: 1} for state in end}]
    for level in reversed(levels):
        here: dict[int, dict[int, int]] = {}
        for state, nonzeros, next_state, size in zip(
            level.state, level.nonzeros, level.next_state, level.size, strict=True
        ):
            sums = here.setdefault(state, {})
            for left, chains in ways[-1].get(next_state, {}).items():
                sums[nonzeros + left] = sums.get(nonzeros + left, 0) + size * chains
        ways.append(here)
    return ways[::-1]


def _groups(state: Integers, left: Integers) -> list[tuple[Any, int, int]]:
    """Where each pair of (state, nonzeros left) occurs: (selection, state, nonzeros left)."""
    if len(state) == 0:
        return []
    span = int(left.max()) + 1
    code = state * span + left
    present = np.flatnonzero(np.bincount(code))
    if len(present) == 1:
        return [(slice(None), *divmod(int(present[0]), span))]
    return [(np.flatnonzero(code == value), *divmod(int(value), span)) for value in present]
