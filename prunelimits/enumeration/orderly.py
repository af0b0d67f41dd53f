"""Orderly generation: the least multisets of types under a group, without listing the others.

Ascending tuples grow by one type at a time. A *beginning* is the first types of a tuple, a prefix.
One that some element of the group makes smaller is dropped: the beginnings of a least tuple are
least, so nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prunelimits.enumeration.abstract_block import AbstractBlock, Types
from prunelimits.enumeration.eligible_tables import Bits, Integers

CHUNK = 2**17
"""Tuples grown together, which bounds the memory in use."""

CHUNK_FLAGS = 2**24
"""For large groups: tuples grown together times elements of the group, which take a flag each."""


@dataclass(frozen=True)
class LeastMultisets:
    """Some least multisets, keys ascending.

    Attributes:
        keys: Shape `(masks,)`.
        ones: The ones of each, shape `(masks,)`.
        fixed_by: Which of the actions fix each, shape `(actions, masks)`.
    """

    keys: Integers
    ones: Integers
    fixed_by: Bits


@dataclass(frozen=True)
class _Beginnings:
    """Beginnings of tuples, one a column, with what their types have so far.

    `covered_in` and `covered_out` are the columns of the lower matrix and the rows of the upper one
    that have a one, as binary numbers.
    """

    types: Types
    covered_in: Integers
    covered_out: Integers
    ones: Integers
    fixed_by: Bits

    def at(self, which: NDArray[np.int64]) -> _Beginnings:
        return _Beginnings(
            self.types[:, which],
            self.covered_in[which],
            self.covered_out[which],
            self.ones[which],
            self.fixed_by[:, which],
        )


def least_multisets(block: AbstractBlock, actions: Types, most: int) -> Iterator[LeastMultisets]:
    """The least multisets whose matrices the block allows, in chunks, keys ascending.

    No row of a matrix is zero, and no column but those that `block.used` allows.

    Args:
        block: The block whose types are meant.
        actions: Where each element of the group takes each type, shape `(elements, types)`,
            without duplicates.
        most: Matrices with more ones are left out.
    """
    nothing = np.zeros(1, dtype=np.int64)
    start = _Beginnings(
        np.zeros((0, 1), dtype=block.dtype), nothing, nothing, nothing, np.zeros((0, 1), dtype=bool)
    )
    identity = np.arange(block.type_count, dtype=block.dtype)
    for grown in _grown(block, actions, (actions == identity).all(axis=1), most, start):
        yield LeastMultisets(block.pack(grown.types), grown.ones, grown.fixed_by)


def _grown(
    block: AbstractBlock, actions: Types, trivial: Bits, most: int, beginnings: _Beginnings
) -> Iterator[_Beginnings]:
    """All complete tuples that start with one of `beginnings`, depth first in chunks."""
    if len(beginnings.types) == block.units:
        yield beginnings
        return
    first = beginnings.types[-1].astype(np.int64) if len(beginnings.types) else np.zeros(1, int)
    ends = np.cumsum(block.type_count - first)
    chunk = max(1, min(CHUNK, CHUNK_FLAGS // len(actions)))
    start = 0
    while start < len(first):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + chunk, side="right")))
        parents = np.arange(start, stop)
        longer = _extended(block, most, beginnings, parents, first[start:stop])
        longer = _least(block, actions, trivial, longer)
        if len(longer.ones):
            yield from _grown(block, actions, trivial, most, longer)
        start = stop


def _extended(
    block: AbstractBlock, most: int, beginnings: _Beginnings, parents: Integers, first: Integers
) -> _Beginnings:
    """The beginnings at `parents` with any type from `first` on added, if masks can come of it."""
    choices = block.type_count - first
    parent = np.repeat(parents, choices)
    offset = np.arange(len(parent)) - np.repeat(np.cumsum(choices) - choices, choices)
    added = np.repeat(first, choices) + offset
    covered_in = beginnings.covered_in[parent] | block.rows_below[added]
    covered_out = beginnings.covered_out[parent] | block.columns_above[added]
    ones = beginnings.ones[parent] + block.ones[added]
    units_left = block.units - len(beginnings.types) - 1
    fits = block.d_out - np.bitwise_count(covered_out) <= units_left * block.most_fed
    if block.used == "all":
        fits &= block.d_in - np.bitwise_count(covered_in) <= units_left * block.d_in
    fits &= ones + units_left * int(block.ones.min()) <= most
    kept = np.flatnonzero(fits)
    types = np.concatenate(
        [beginnings.types[:, parent[kept]], added[kept].astype(block.dtype)[None]]
    )
    no_actions = np.zeros((0, len(kept)), dtype=bool)
    return _Beginnings(types, covered_in[kept], covered_out[kept], ones[kept], no_actions)


def _least(
    block: AbstractBlock, actions: Types, trivial: Bits, beginnings: _Beginnings
) -> _Beginnings:
    """The beginnings that no action makes smaller, complete ones with the actions that fix them."""
    complete = len(beginnings.types) == block.units
    key = block.pack(beginnings.types)
    left = np.arange(len(key))
    fixed_by = np.ones((len(actions) if complete else 0, len(key)), dtype=bool)
    for index in np.flatnonzero(~trivial):
        image = block.key(actions[index][beginnings.types[:, left]])
        if complete:
            fixed_by[index, left] = image == key[left]
        left = left[image >= key[left]]
    result = beginnings.at(left)
    return _Beginnings(
        result.types, result.covered_in, result.covered_out, result.ones, fixed_by[:, left]
    )
