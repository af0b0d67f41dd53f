"""Blocks: one weight matrix, or two whose middle layer's units have no order of their own.

Relabelling the middle layer's units permutes the rows of the matrix below and the columns of the
matrix above together. So a block of two matrices, up to that, is a multiset of *types*, the pairs
(row below, column above). A single matrix fits the same form: its rows are the units, and each
unit's column above is one-hot and says which row it is.

A multiset is an ascending tuple of type codes, and its *key* is those codes packed into one int64,
so keys are ordered as the tuples are. Arrays of types have shape `(units, masks)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunelimits.enumeration.binary_digits import (
    check_nonzero,
    digits_of,
    numbers_of,
    permuted,
    sorted_columns,
)
from prunelimits.enumeration.eligible_counts import Used
from prunelimits.enumeration.eligible_tables import Bits, Integers

Types = NDArray[Any]


@dataclass(frozen=True)
class AbstractBlock(ABC):
    """A part of the network between two nodes, layers whose units keep their labels.

    Attributes:
        layer: The index of its first weight matrix.
        d_in: Units of the node below.
        units: Units whose types make up the block.
        d_out: Units of the node above.
        used: `"all"`: every unit of the node below has a one in its column. `"any"`: columns may be
            zero, which is allowed for inputs only.
    """

    layer: int
    d_in: int
    units: int
    d_out: int
    used: Used = "all"

    @property
    @abstractmethod
    def layers(self) -> tuple[int, ...]:
        """The indices of its weight matrices."""

    @property
    @abstractmethod
    def least_ones(self) -> int:
        """The fewest ones of the block's matrices."""

    @property
    @abstractmethod
    def most_fed(self) -> int:
        """The most units above that one unit can feed."""

    @property
    @abstractmethod
    def candidates(self) -> int:
        """How many multisets of types there are to go through.

        Multisets that leave a column of the lower matrix or a row of the upper one zero count, too.
        """

    @abstractmethod
    def candidates_within(self, most: int) -> int:
        """How many of the candidates have at most `most` ones in all."""

    @abstractmethod
    def matrices(self, keys: Integers) -> list[Bits]:
        """The weight masks of `keys`, flattened, for each of the block's layers."""

    @property
    @abstractmethod
    def _columns_above(self) -> Integers:
        """What the column above can be, as binary numbers, first row most significant."""

    @abstractmethod
    def _column_numbers(self, columns: Integers) -> Integers:
        """The index of each of `columns` in `_columns_above`."""

    @abstractmethod
    def _read_above(self, weights: Sequence[Bits]) -> Integers:
        """The index in `_columns_above` of each unit's column, given all layers' masks."""

    @property
    @abstractmethod
    def _ones_above(self) -> Integers:
        """The ones that each of `_columns_above` brings to the masks."""

    @cached_property
    def type_count(self) -> int:
        """The number of types."""
        return self._rows_below * len(self._columns_above)

    @cached_property
    def type_bits(self) -> int:
        """The bits of a key that hold one type."""
        return (self.type_count - 1).bit_length()

    @property
    def key_bits(self) -> int:
        """The bits of a key, at most 63 where keys are used."""
        return self.units * self.type_bits

    @cached_property
    def rows_below(self) -> Integers:
        """For each type, its row below as a binary number, first column most significant."""
        return np.arange(self.type_count) % self._rows_below + 1

    @cached_property
    def columns_above(self) -> Integers:
        """For each type, its column above as a binary number, first row most significant."""
        return np.repeat(self._columns_above, self._rows_below)

    @cached_property
    def ones(self) -> Integers:
        """For each type, the ones that it brings to the masks."""
        below = np.bitwise_count(self.rows_below).astype(np.int64)
        return below + np.repeat(self._ones_above, self._rows_below)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The narrowest dtype that holds a type code."""
        return np.min_scalar_type(self.type_count - 1)

    def action(self, below: Sequence[int], above: Sequence[int]) -> Types:
        """Which type each type becomes when the units of the two nodes are renumbered.

        Args:
            below: Unit u of the node below becomes unit `below[u]`.
            above: Unit u of the node above becomes unit `above[u]`.
        """
        rows = permuted(self.rows_below, below)
        return self._coded(rows, self._column_numbers(permuted(self.columns_above, above)))

    def key(self, types: Types) -> Integers:
        """The keys of multisets whose types come in any order."""
        return self.pack(sorted_columns(types))

    def pack(self, ascending: Types) -> Integers:
        """The keys of ascending types.

        The first few types of a multiset can be packed, too: such keys are ordered as the tuples.
        """
        key = np.zeros(ascending.shape[1], dtype=np.int64)
        for types in ascending:
            key = key << self.type_bits | types
        return key

    def unpack(self, keys: Integers) -> Iterator[Integers]:
        """The ascending types of `keys`, unit by unit."""
        for unit in reversed(range(self.units)):
            yield keys >> unit * self.type_bits & (1 << self.type_bits) - 1

    def types(self, weights: Sequence[Bits]) -> Types:
        """The types, unit by unit, given all layers' flattened weight masks.

        Raises:
            ValueError: If a weight mask of the block has a zero row, or a zero column that must
                not be.
        """
        below = weights[self.layer].reshape(-1, self.units, self.d_in)
        rows = numbers_of(below.transpose(1, 2, 0))
        lines = ("row", "column") if self.used == "all" else ("row",)
        check_nonzero(rows, self.d_in, self.layer, lines)
        return self._coded(rows, self._read_above(weights))

    @property
    def _rows_below(self) -> int:
        """How many rows below there are, all but the zero row."""
        return 2**self.d_in - 1

    def _coded(self, rows: Integers, columns: Integers) -> Types:
        return (columns * self._rows_below + rows - 1).astype(self.dtype)

    def _bits_below(self, types: Integers) -> Bits:
        """The lower matrix, flattened, of types of shape `(masks, units)`."""
        rows = digits_of(self.rows_below, self.d_in).take(types, axis=0)
        return rows.reshape(len(types), self.units * self.d_in)

    @property
    def _least_below(self) -> int:
        """The fewest ones of the lower matrix."""
        return max(self.d_in, self.units) if self.used == "all" else self.units
