"""Blocks: one weight matrix, or two whose middle layer's units have no order of their own.

Relabelling the middle layer's units permutes the rows of the matrix below and the columns of the
matrix above together. So a block of two matrices, up to that, is a multiset of *types*, the pairs
(row below, column above). A single matrix fits the same form: its rows are the units, and each
unit's column above is one-hot and says which row it is.

A multiset is an ascending tuple of type codes, and its *key* is those codes packed into one int64,
so keys are ordered as the tuples are. Arrays of types have shape `(units, masks)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunelimits.enumeration.eligible_counts import Used, multisets
from prunelimits.enumeration.eligible_tables import Bits, Integers

Types = NDArray[Any]


@dataclass(frozen=True)
class Block:
    """A part of the network between two nodes, layers whose units keep their labels.

    Attributes:
        layers: The indices of its one or two weight matrices.
        d_in: Units of the node below.
        units: Units of the middle layer; for a single matrix, its rows.
        d_out: Units of the node above.
        used: Which units of the node below must have a one: only inputs may be unused.
    """

    layers: tuple[int, ...]
    d_in: int
    units: int
    d_out: int
    used: Used = "all"

    @property
    def single(self) -> bool:
        """Whether the block is one matrix."""
        return len(self.layers) == 1

    @property
    def kinds(self) -> int:
        """The number of types."""
        return (2**self.d_in - 1) * (self.d_out if self.single else 2**self.d_out - 1)

    @property
    def type_bits(self) -> int:
        """The bits of a key that hold one type."""
        return (self.kinds - 1).bit_length()

    @property
    def key_bits(self) -> int:
        """The bits of a key, at most 63 where keys are used."""
        return self.units * self.type_bits

    @property
    def least_ones(self) -> int:
        """The fewest ones of the block's matrices."""
        below = max(self.d_in, self.units) if self.used == "all" else self.units
        return below if self.single else below + max(self.units, self.d_out)

    @property
    def most_in_row(self) -> int:
        """The most units above that one unit can feed."""
        return 1 if self.single else self.d_out

    @cached_property
    def values_in(self) -> Integers:
        """For each type, its row below as a binary number, first column most significant."""
        return np.arange(self.kinds) % (2**self.d_in - 1) + 1

    @cached_property
    def values_out(self) -> Integers:
        """For each type, its column above as a binary number, first row most significant."""
        index = np.arange(self.kinds) // (2**self.d_in - 1)
        return 1 << (self.d_out - 1 - index) if self.single else index + 1

    @cached_property
    def ones(self) -> Integers:
        """For each type, the ones that it brings to the masks."""
        ones = np.bitwise_count(self.values_in).astype(np.int64)
        return ones if self.single else ones + np.bitwise_count(self.values_out)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The narrowest dtype that holds a type code."""
        return np.min_scalar_type(self.kinds - 1)

    def action(self, below: Sequence[int], above: Sequence[int]) -> Types:
        """Where each type goes when unit u of a node becomes unit `below[u]`, or `above[u]`."""
        value_in = _permuted(self.values_in, below)
        value_out = _permuted(self.values_out, above)
        out = self.d_out - np.log2(value_out).astype(np.int64) if self.single else value_out
        return ((out - 1) * (2**self.d_in - 1) + value_in - 1).astype(self.dtype)

    def key(self, types: Types) -> Integers:
        """The keys of multisets whose types come in any order."""
        return self.pack(sorted_columns(types))

    def pack(self, ascending: Types) -> Integers:
        """The keys of ascending types; of fewer than `units` of them, keys of beginnings."""
        key = np.zeros(ascending.shape[1], dtype=np.int64)
        for types in ascending:
            key = key << self.type_bits | types
        return key

    def unpack(self, keys: Integers) -> Iterator[Integers]:
        """The ascending types of `keys`, unit by unit."""
        for unit in reversed(range(self.units)):
            yield keys >> unit * self.type_bits & (1 << self.type_bits) - 1

    def matrices(self, keys: Integers) -> list[Bits]:
        """The weight masks of `keys`, flattened, for each of the block's layers."""
        types = np.stack(list(self.unpack(keys)), axis=1)
        below = _bits(self.values_in, self.d_in).take(types, axis=0)
        flat = below.reshape(len(keys), self.units * self.d_in)
        if self.single:
            return [flat]
        above = _bits(self.values_out, self.d_out).take(types, axis=0).transpose(0, 2, 1)
        return [flat, above.reshape(len(keys), self.d_out * self.units)]

    def types(self, weights: Sequence[Bits]) -> Types:
        """The types, unit by unit, given all layers' flattened weight masks.

        Raises:
            ValueError: If a weight mask of the block has a zero row, or a zero column that must
                not be.
        """
        below = weights[self.layers[0]].reshape(-1, self.units, self.d_in)
        value_in = _values(below.transpose(1, 2, 0))
        lines = ("row", "column") if self.used == "all" else ("row",)
        _check_nonzero(value_in, self.d_in, self.layers[0], lines)
        if self.single:
            out = np.arange(1, self.units + 1)[:, None]
        else:
            above = weights[self.layers[1]].reshape(-1, self.d_out, self.units)
            out = _values(above.transpose(2, 1, 0))
            _check_nonzero(out, self.d_out, self.layers[1], ("column", "row"))
        return ((out - 1) * (2**self.d_in - 1) + value_in - 1).astype(self.dtype)

    def multisets_within(self, most: int) -> int:
        """The multisets of types with at most `most` ones in all, zero rows and columns allowed."""
        width = multisets(self.kinds, self.units).bit_length() + 1
        if self.single:
            rows = self.values_in[: 2**self.d_in - 1]
            packed = (
                sum(1 << ones * width for ones in np.bitwise_count(rows).tolist()) ** self.units
            )
        else:
            by_units = [1] + [0] * self.units
            for ones, kinds in enumerate(np.bincount(self.ones).tolist()):
                by_units = [
                    sum(
                        multisets(kinds, copies) * by_units[units - copies] << ones * copies * width
                        for copies in range(units + 1)
                    )
                    for units in range(self.units + 1)
                ]
            packed = by_units[-1]
        return sum(packed >> ones * width & (1 << width) - 1 for ones in range(most + 1))


def _check_nonzero(values: Integers, digits: int, layer: int, lines: tuple[str, ...]) -> None:
    """Raises a ValueError for a zero line of a weight mask given as the values of its lines."""
    unused = (1 << digits) - 1 & ~np.bitwise_or.reduce(values, axis=0)
    for line, zero in zip(lines, ((values == 0).any(axis=0), unused != 0), strict=False):
        if zero.any():
            raise ValueError(
                f"layers.{layer}.weight of network {int(zero.argmax())} has a zero {line}"
            )


def sorted_columns(types: Types) -> Types:
    """`types` with each column ascending, by a sorting network: much faster than sorting each."""
    rows = list(types)
    for first, second in _comparators(len(rows)):
        low, high = rows[first], rows[second]
        rows[first], rows[second] = np.minimum(low, high), np.maximum(low, high)
    return np.stack(rows)


@cache
def _comparators(size: int) -> tuple[tuple[int, int], ...]:
    """Batcher's odd-even merge sort as pairs of places to put in order."""
    pairs: list[tuple[int, int]] = []
    run = 1
    while run < size:
        distance = run
        while distance:
            for start in range(distance % run, size - distance, 2 * distance):
                pairs += [
                    (first, first + distance)
                    for first in range(start, start + min(distance, size - start - distance))
                    if first // (2 * run) == (first + distance) // (2 * run)
                ]
            distance //= 2
        run *= 2
    return tuple(pairs)


def _permuted(values: Integers, permutation: Sequence[int]) -> Integers:
    """Binary numbers with digit u, counted from the most significant, moved to `permutation[u]`."""
    last = len(permutation) - 1
    moved = np.zeros_like(values)
    for unit, image in enumerate(permutation):
        moved |= (values >> (last - unit) & 1) << (last - image)
    return moved


def _bits(values: Integers, digits: int) -> Bits:
    """The binary digits of `values`, most significant first: shape `(len(values), digits)`."""
    return (values[:, None] >> np.arange(digits - 1, -1, -1) & 1).astype(bool)


def _values(bits: Bits) -> Integers:
    """The binary numbers whose digits lie along the middle one of three axes."""
    result = np.zeros((bits.shape[0], bits.shape[2]), dtype=np.int64)
    for digit in range(bits.shape[1]):
        result = result << 1 | bits[:, digit]
    return result
