"""The masks of one weight matrix that the combinatorial search considers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import accumulate
from threading import Lock
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.arguments import checked_choice, checked_integer, checked_tensor, shown
from prunelimits.enumeration.eligible_counts import EligibleCounts, Used
from prunelimits.enumeration.eligible_ranks import EligibleRanks, Order
from prunelimits.enumeration.eligible_tables import Bits, eligible_bits
from prunelimits.enumeration.lazy_sequence import LazySequence, Ranks, as_rank_array, number_dtype

TABLE_ROWS = 2**20
"""Masks with a number of ones are tabulated where at most this many multisets of rows have it."""

TABLE_BYTES = 2**26
"""The tables that one space holds at a time take at most this many bytes together."""


class EligibleMasks(LazySequence[Tensor]):
    """The eligible masks of a weight matrix: no zero row, no zero column, rows sorted.

    A mask is a bool tensor of shape `(d_out, d_in)`. Its rows are non-increasing in (count of ones,
    value as a binary number, first column most significant), so it stands for all its row
    permutations. This is `EligibleMasks` of Algorithm 1 in
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075), with the order of rows that
    the paper's text describes. With `columns="any"`, columns may be zero: units below go unused.

    The list ascends in (number of ones, tuple of row counts, tuple of row values), tuples compared
    lexicographically from the first row. With `order="published"` it is that of the paper's
    published code, whose loop over the last row is the outermost: masks with equal row counts
    descend in their row values, compared from the last row. The paper's Appendix D takes the first
    masks of each number of ones in that order.

    All masks with a number of ones that was asked for are held as a table, if that is small: this
    gives millions a second. Else a mask is unranked by exact counting, about 0.4 ms each for (8, 4)
    and 8 ms for (16, 16), after a set-up of 0.03 s for (16, 16) and 5 s for (32, 32).

    Args:
        d_in: Columns, the units that the matrix reads from.
        d_out: Rows, the units that it feeds.
        columns: `"all"`: every column has a one. `"any"`: columns may be zero.
        order: `"ascending"` or `"published"`, as above.

    Raises:
        TypeError: If a width is not an integer.
        ValueError: If a width is below 1 or too large to count masks (beyond 512 x 512), or
            `columns` or `order` is unknown. Also raised by all that needs more than `count`, if
            `d_in` times `d_out` is more than 1,024.

    Examples:
        >>> space = EligibleMasks(3, 2)
        >>> len(space)
        13
        >>> space[0].int()
        tensor([[0, 1, 1],
                [1, 0, 0]], dtype=torch.int32)
        >>> space.index(space[-1])
        12
        >>> space.counts_by_nonzeros()
        {3: 3, 4: 6, 5: 3, 6: 1}
        >>> EligibleMasks(16, 16).count > 10**63
        True
        >>> EligibleMasks(3, 1).count, EligibleMasks(3, 1, columns="any").count
        (1, 7)
        >>> EligibleMasks(2, 2)[1].tolist(), EligibleMasks(2, 2, order="published")[1].tolist()
        ([[True, True], [False, True]], [[True, True], [True, False]])
    """

    def __init__(
        self, d_in: int, d_out: int, *, columns: Used = "all", order: Order = "ascending"
    ) -> None:
        self.d_in = checked_integer("d_in", d_in, 1)
        self.d_out = checked_integer("d_out", d_out, 1)
        self.columns: Used = checked_choice("columns", columns, get_args(Used))
        self.order: Order = checked_choice("order", order, get_args(Order))
        self._counts = EligibleCounts(self.d_in, self.d_out, self.columns)
        self._ranks = EligibleRanks(self._counts, self.order)
        self._tables: dict[int, Bits] = {}
        self._lock = Lock()

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of every mask, `(d_out, d_in)`."""
        return self.d_out, self.d_in

    @property
    def count(self) -> int:
        """The number of masks, exact however large.

        sum_m (-1)^(d_in-m) C(d_in, m) C(2^m - 2 + d_out, d_out), over m = 1 to d_in; with
        `columns="any"` its last term, C(2^d_in - 2 + d_out, d_out).
        """
        return self._counts.count

    def counts_by_nonzeros(self) -> dict[int, int]:
        """The number of masks for each number of ones, ascending and exact."""
        return dict(self._counts.by_ones)

    def take(self, ranks: Ranks) -> Tensor:
        """The masks at `ranks`, a bool tensor of shape `(len(ranks), d_out, d_in)`.

        Raises:
            IndexError: If a rank lies outside 0 to `count - 1`.
            TypeError: If `ranks` are not integers.
        """
        bits = self.bits(as_rank_array(ranks, self.count))
        return torch.from_numpy(bits).reshape(-1, self.d_out, self.d_in)

    def bits(self, ranks: NDArray[Any]) -> Bits:
        """The masks at the valid `ranks`, flattened: shape `(len(ranks), d_out * d_in)`."""
        ones, starts = self._strata
        stratum = np.searchsorted(starts, ranks, side="right") - 1
        present = np.flatnonzero(np.bincount(stratum))
        if len(present) == 1:
            return self._bits_with_ones(ones[present[0]], ranks - starts[present[0]])
        result = np.empty((len(ranks), self.d_out * self.d_in), dtype=bool)
        for index in present:
            at = np.flatnonzero(stratum == index)
            result[at] = self._bits_with_ones(ones[index], ranks[at] - starts[index])
        return result

    def elements(self, ranks: range) -> Iterator[Tensor]:
        """The masks at `ranks`, all within 0 to `count - 1`."""
        yield from self.take(ranks)

    def rank(self, value: object) -> int:
        """The position of the mask `value` in the list.

        Raises:
            TypeError: If `value` is not a bool tensor.
            ValueError: If it is not an eligible mask of this shape, saying why.
        """
        rows = self._checked_rows(value)
        total = sum(row.bit_count() for row in rows)
        fewer = sum(masks for ones, masks in self._counts.by_ones.items() if ones < total)
        return fewer + self._ranks.rank(rows)

    @property
    def _strata(self) -> tuple[list[int], NDArray[Any]]:
        """The numbers of ones, and the rank of the first mask with each."""
        by_ones = self._counts.by_ones
        starts = [0, *accumulate(by_ones.values())][:-1]
        return list(by_ones), np.array(starts, dtype=number_dtype(self.count))

    def _bits_with_ones(self, ones: int, ranks: NDArray[Any]) -> Bits:
        """The masks at `ranks` among those with `ones` ones."""
        grown = self._counts.row_multisets(self.d_in, self.d_in, self.d_out, ones)
        if max(grown, 2**self.d_in) <= TABLE_ROWS and grown * math.prod(self.shape) <= TABLE_BYTES:
            return self._table(ones).take(ranks.astype(np.int64), axis=0)
        digits = range(self.d_in - 1, -1, -1)
        flat = [
            [row >> digit & 1 for row in self._ranks.unrank(ones, int(rank)) for digit in digits]
            for rank in ranks
        ]
        return np.array(flat, dtype=bool).reshape(len(ranks), -1)

    def _table(self, ones: int) -> Bits:
        """All masks with `ones` ones; the oldest tables are dropped to stay in `TABLE_BYTES`."""
        # Threads may share a space: one of them must not drop what another one looks up.
        with self._lock:
            if ones not in self._tables:
                self._tables[ones] = eligible_bits(
                    self.d_in, self.d_out, ones, columns=self.columns, order=self.order
                )
                while sum(table.nbytes for table in self._tables.values()) > TABLE_BYTES:
                    del self._tables[next(iter(self._tables))]
            return self._tables[ones]

    def _checked_rows(self, mask: object) -> list[int]:
        """The rows of an eligible mask as binary numbers."""
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            raise TypeError(f"mask must be a bool tensor, got {shown(mask)}")
        checked_tensor("mask", mask)
        if tuple(mask.shape) != self.shape:
            raise ValueError(f"mask must have shape {self.shape}, got {tuple(mask.shape)}")
        for axis, name in ((1, "row"), (0, "column"))[: 2 if self.columns == "all" else 1]:
            empty = (~mask.any(dim=axis)).nonzero().flatten().tolist()
            if empty:
                raise ValueError(f"mask is not eligible: {name} {empty[0]} is zero")
        rows = [int("".join("1" if bit else "0" for bit in row), 2) for row in mask.tolist()]
        keys = [(row.bit_count(), row) for row in rows]
        for row in range(1, self.d_out):
            if keys[row - 1] < keys[row]:
                raise ValueError(
                    f"mask is not eligible: rows {row - 1} and {row} are out of order; rows must "
                    "be non-increasing in (count of ones, binary value)"
                )
        return rows

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EligibleMasks):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return EligibleMasks, self.shape, self.columns, self.order

    def __repr__(self) -> str:
        columns = "" if self.columns == "all" else f", columns={self.columns!r}"
        order = "" if self.order == "ascending" else f", order={self.order!r}"
        return f"EligibleMasks({self.d_in}, {self.d_out}{columns}{order})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickling stores the arguments rather than the tables.
        space = partial(EligibleMasks, columns=self.columns, order=self.order)
        return space, (self.d_in, self.d_out)
