"""All networks up to hidden-unit permutation, as chains of cells that can be ranked.

Let a group act on a product of blocks. Its orbits are, one to one: an orbit of the group on the
first block, then an orbit on the second of the stabiliser of the first one's representative, and so
on. The stabilisers are the states of the chain. Few occur, so the least multisets of each block
under each of them are tabulated, and chains of table cells are all networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunelimits.enumeration.chains import Integers, Level
from prunelimits.enumeration.eligible_tables import Bits
from prunelimits.enumeration.mask_layout import count_ones
from prunelimits.enumeration.orbit_cuts import Cut
from prunelimits.enumeration.orderly import least_multisets

TABLE_BYTES = 2**29
"""The most bytes of keys that the tables of one space may take."""

MOST_MULTISETS = 2**33
"""The most multisets of one block that are sifted for the least ones, about ten minutes' work."""

Subgroup = tuple[int, ...]
"""Ascending indices into the cut's group."""

Cells = dict[tuple[int, int, Subgroup], list[Integers]]
"""(state, ones, what of the stabiliser moves units of later blocks) -> keys, in chunks."""


class NetworkOrbits:
    """The least networks of their orbits, as levels of cells: one level for each block of the cut.

    Args:
        cut: The blocks of the networks, and the group that acts on them.
        most_ones: Only networks with at most this many ones, weights alone; None for all. Ranks of
            the networks that remain are the same.

    Raises:
        MemoryError: If the tables would take more than `TABLE_BYTES`.
        ValueError: If more than `MOST_MULTISETS` would have to be sifted for them.
    """

    def __init__(self, cut: Cut, most_ones: int | None = None) -> None:
        self._cut = cut
        self._most_ones = most_ones
        self._bytes = 0
        # Refused before anything is built: later blocks have at least the state of the trivial
        # group, which is the stabiliser of most masks of the first block.
        for index in range(1, len(cut.blocks)):
            self._check_size(index, [(0,)])
        self.levels: list[Level] = []
        self._keys: list[Integers] = []
        self._starts: list[list[int]] = []
        states: list[Subgroup] = [tuple(range(len(self._cut.group)))]
        for index in range(len(self._cut.blocks)):
            states = self._add_level(index, states)

    def weight_bits(
        self, cells: Sequence[Integers], positions: Sequence[NDArray[Any]]
    ) -> list[Bits]:
        """The weight masks, flattened, of the networks at these cells and positions."""
        return self._cut.matrices(
            [
                keys[np.array(starts, dtype=np.int64)[cell] + position.astype(np.int64)]
                for keys, starts, cell, position in zip(
                    self._keys, self._starts, cells, positions, strict=True
                )
            ]
        )

    def locate(self, weights: Sequence[Bits]) -> tuple[list[Integers], list[NDArray[Any]]]:
        """The cells and positions of the representatives of flattened weight masks.

        The masks must have no more ones than the tables reach.

        Raises:
            ValueError: If a weight mask has a zero row, or a zero column that must not be.
        """
        state = np.zeros(len(weights[0]), dtype=np.int64)
        cells: list[Integers] = []
        positions: list[NDArray[Any]] = []
        for level, (block, key) in enumerate(
            zip(self._cut.blocks, self._cut.canonical_keys(weights), strict=True)
        ):
            ones = sum(
                (count_ones(weights[layer]) for layer in block.layers),
                np.zeros(len(key), dtype=np.int64),
            )
            cell, position = self._find(level, state, ones, key)
            cells.append(cell)
            positions.append(position)
            state = np.array(self.levels[level].next_state, dtype=np.int64)[cell]
        return cells, positions

    def _find(
        self, level: int, state: Integers, ones: Integers, key: Integers
    ) -> tuple[Integers, Integers]:
        """The cell and position of each key, among the cells with its state and ones."""
        here, keys, starts = self.levels[level], self._keys[level], self._starts[level]
        cell = np.full(len(key), -1, dtype=np.int64)
        position = np.zeros(len(key), dtype=np.int64)
        span = int(ones.max(initial=0)) + 1
        code = state * span + ones
        for value in np.flatnonzero(np.bincount(code)):
            missing = np.flatnonzero(code == value)
            candidates = [
                index
                for index, pair in enumerate(zip(here.state, here.nonzeros, strict=True))
                if pair == divmod(int(value), span)
            ]
            for index in sorted(candidates, key=lambda index: -here.size[index]):
                in_cell = keys[starts[index] : starts[index] + here.size[index]]
                place = np.searchsorted(in_cell, key[missing]).clip(max=len(in_cell) - 1)
                found = in_cell[place] == key[missing]
                cell[missing[found]] = index
                position[missing[found]] = place[found]
                missing = missing[~found]
        return cell, position

    def _add_level(self, index: int, states: list[Subgroup]) -> list[Subgroup]:
        """Tabulates block `index` for each state; returns the states that it leads to."""
        self._check_size(index, states)
        cells: Cells = {}
        for state, subgroup in enumerate(states):
            self._tabulate(index, state, subgroup, cells)
        next_states = sorted({stabiliser for _, _, stabiliser in cells})
        number = {stabiliser: state for state, stabiliser in enumerate(next_states)}
        ordered = sorted(cells, key=lambda cell: (cell[0], cell[1], number[cell[2]]))
        sizes = [sum(map(len, cells[cell])) for cell in ordered]
        keys = np.empty(sum(sizes), dtype=np.int64)
        starts = [0, *accumulate(sizes)]
        for cell, start, end in zip(ordered, starts, starts[1:], strict=False):
            np.concatenate(cells.pop(cell), out=keys[start:end])
        self._keys.append(keys)
        self._starts.append(starts[:-1])
        self.levels.append(
            Level(
                [state for state, _, _ in ordered],
                [ones for _, ones, _ in ordered],
                [number[stabiliser] for _, _, stabiliser in ordered],
                sizes,
            )
        )
        return next_states

    def _tabulate(self, index: int, state: int, subgroup: Subgroup, cells: Cells) -> None:
        """Adds the least multisets of block `index` under `subgroup` to `cells`."""
        actions, of_element = np.unique(
            self._cut.actions[index][list(subgroup)], axis=0, return_inverse=True
        )
        projection = self._projection(index)
        for chunk in least_multisets(self._cut.blocks[index], actions, self._most_in(index)):
            flags, which = _distinct_columns(chunk.fixed_by)
            stabilisers = [
                tuple(
                    sorted(
                        {
                            projection[element]
                            for element, action in zip(subgroup, of_element.ravel(), strict=True)
                            if fixes[action]
                        }
                    )
                )
                for fixes in flags.T
            ]
            # Masks whose stabilisers look the same to later blocks share a cell, whose keys must
            # stay ascending.
            distinct = sorted(set(stabilisers))
            after = np.array([distinct.index(stabiliser) for stabiliser in stabilisers])[which]
            order = np.lexsort((after, chunk.ones))
            ones, after = chunk.ones[order], after[order]
            borders = np.flatnonzero((np.diff(ones) != 0) | (np.diff(after) != 0)) + 1
            for at, keys in zip(
                (0, *borders.tolist()), np.split(chunk.keys[order], borders), strict=True
            ):
                cell = (state, int(ones[at]), distinct[after[at]])
                cells.setdefault(cell, []).append(keys.copy())
            self._bytes += chunk.keys.nbytes
            self._check_bytes(self._bytes)

    def _projection(self, index: int) -> list[int]:
        """For each group element, the one that moves only what blocks after `index` touch."""
        later: set[int] = set()
        for block in self._cut.blocks[index + 1 :]:
            later |= self._cut.touched(block)
        group = self._cut.group
        number = {element: place for place, element in enumerate(group)}
        return [
            number[
                tuple(p if place in later else group[0][place] for place, p in enumerate(element))
            ]
            for element in group
        ]

    def _most_in(self, index: int) -> int:
        """The most ones that block `index` may have, given the fewest of the others."""
        block = self._cut.blocks[index]
        if self._most_ones is None:
            return int(block.ones.max()) * block.units
        others = (other.least_ones for other in self._cut.blocks if other is not block)
        return self._most_ones - sum(others)

    def _check_size(self, index: int, states: list[Subgroup]) -> None:
        """Raises if the tables of block `index` for these states would be too large."""
        multisets = self._cut.blocks[index].candidates_within(self._most_in(index))
        sifted = multisets * len(states)
        if sifted > MOST_MULTISETS:
            raise ValueError(
                f"ranking the networks of widths {self._cut.widths} up to hidden-unit permutation "
                f"means sifting {sifted:,} multisets of units, more than {MOST_MULTISETS:,}; with "
                "a smaller max_nonzeros they are fewer, and counts and uniform draws need none"
            )
        self._check_bytes(self._bytes + sum(8 * multisets // len(group) for group in states))

    def _check_bytes(self, size: int) -> None:
        if size > TABLE_BYTES:
            raise MemoryError(
                f"ranking the networks of widths {self._cut.widths} up to hidden-unit permutation "
                f"takes tables of about {size:,} bytes or more, beyond {TABLE_BYTES:,}; with a "
                "smaller max_nonzeros they are smaller, and counts and uniform draws need none"
            )


def _distinct_columns(flags: Bits) -> tuple[Bits, Integers]:
    """The distinct columns of `flags`, none of them zero, and which of them each column is."""
    # Nearly every column has a single one, and those need no sorting of whole columns.
    single = flags.sum(axis=0) == 1
    which = np.where(single, flags.argmax(axis=0), -1)
    rows, which_single = np.unique(which[single], return_inverse=True)
    columns, which_rest = np.unique(flags[:, ~single], axis=1, return_inverse=True)
    which[single] = which_single
    which[~single] = which_rest.ravel() + len(rows)
    unit = np.arange(len(flags))[:, None] == rows
    return np.concatenate([unit, columns], axis=1), which
