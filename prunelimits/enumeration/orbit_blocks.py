"""The two kinds of block: one weight matrix, and two with a layer between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from typing_extensions import override

from prunelimits.enumeration.abstract_block import AbstractBlock
from prunelimits.enumeration.binary_digits import check_nonzero, digits_of, numbers_of
from prunelimits.enumeration.eligible_counts import multisets
from prunelimits.enumeration.eligible_tables import Bits, Integers


class MatrixBlock(AbstractBlock):
    """One weight matrix between two nodes: `units` are the units of the node above, its rows."""

    @property
    @override
    def layers(self) -> tuple[int, ...]:
        return (self.layer,)

    @property
    @override
    def least_ones(self) -> int:
        return self._least_below

    @property
    @override
    def most_fed(self) -> int:
        return 1

    @property
    @override
    def candidates(self) -> int:
        # The rows have an order, so the candidates are tuples of rows.
        return self._rows_below**self.units

    @override
    def candidates_within(self, most: int) -> int:
        width = self.candidates.bit_length() + 1
        rows = np.bitwise_count(self.rows_below[: self._rows_below]).tolist()
        return _sum_of_coefficients(
            sum(1 << ones * width for ones in rows) ** self.units, width, most
        )

    @override
    def matrices(self, keys: Integers) -> list[Bits]:
        return [self._bits_below(np.stack(list(self.unpack(keys)), axis=1))]

    @property
    @override
    def _columns_above(self) -> Integers:
        return 1 << np.arange(self.d_out - 1, -1, -1)

    @override
    def _column_numbers(self, columns: Integers) -> Integers:
        return self.d_out - 1 - np.log2(columns).astype(np.int64)

    @override
    def _read_above(self, weights: Sequence[Bits]) -> Integers:
        return np.arange(self.units)[:, None]

    @property
    @override
    def _ones_above(self) -> Integers:
        # The column above is no part of the masks: it only names the row.
        return np.zeros(self.d_out, dtype=np.int64)


class PairBlock(AbstractBlock):
    """Two weight matrices; `units` are those of the layer between, which have no labels."""

    @property
    @override
    def layers(self) -> tuple[int, ...]:
        return (self.layer, self.layer + 1)

    @property
    @override
    def least_ones(self) -> int:
        return self._least_below + max(self.units, self.d_out)

    @property
    @override
    def most_fed(self) -> int:
        return self.d_out

    @property
    @override
    def candidates(self) -> int:
        return multisets(self.type_count, self.units)

    @override
    def candidates_within(self, most: int) -> int:
        width = self.candidates.bit_length() + 1
        by_units = [1] + [0] * self.units
        for ones, types in enumerate(np.bincount(self.ones).tolist()):
            by_units = [
                sum(
                    multisets(types, copies) * by_units[units - copies] << ones * copies * width
                    for copies in range(units + 1)
                )
                for units in range(self.units + 1)
            ]
        return _sum_of_coefficients(by_units[-1], width, most)

    @override
    def matrices(self, keys: Integers) -> list[Bits]:
        types = np.stack(list(self.unpack(keys)), axis=1)
        above = digits_of(self.columns_above, self.d_out).take(types, axis=0).transpose(0, 2, 1)
        return [self._bits_below(types), above.reshape(len(keys), self.d_out * self.units)]

    @property
    @override
    def _columns_above(self) -> Integers:
        return np.arange(1, 2**self.d_out)

    @override
    def _column_numbers(self, columns: Integers) -> Integers:
        return columns - 1

    @override
    def _read_above(self, weights: Sequence[Bits]) -> Integers:
        above = weights[self.layer + 1].reshape(-1, self.d_out, self.units)
        columns = numbers_of(above.transpose(2, 1, 0))
        check_nonzero(columns, self.d_out, self.layer + 1, ("column", "row"))
        return columns - 1

    @property
    @override
    def _ones_above(self) -> Integers:
        return np.bitwise_count(self._columns_above).astype(np.int64)


def _sum_of_coefficients(packed: int, width: int, most: int) -> int:
    """The sum of a polynomial's coefficients up to x^most, packed at `width` bits each."""
    return sum(packed >> ones * width & (1 << width) - 1 for ones in range(most + 1))
