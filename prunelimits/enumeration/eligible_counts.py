"""How many eligible masks begin in a given way: the numbers behind exact ranks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import comb
from typing import Literal, TypeAlias

from prunelimits.arguments import shown

Used: TypeAlias = Literal["all", "any"]
"""Which columns of a matrix, or inputs of a network, must be used: `"all"`, or `"any"` of them."""

# Counts by size of 32 x 32 matrices take 5 s, of 40 x 40 a minute: larger ones are not begun.
MOST_ENTRIES = 1024

# Counts of 512 x 512 matrices take 5 s, of 4096 x 1 and of 16 x 65536 two.
MOST_COLUMNS = 4096
MOST_BITS = 2**20
MOST_BITS_IN_ALL = 2**27


def multisets(items: int, size: int) -> int:
    """The number of multisets of `size` members out of `items` items, each as often as one likes.

    Examples:
        >>> multisets(3, 2)
        6
    """
    if size == 0:
        return 1
    return comb(items + size - 1, size)


class EligibleCounts:
    """Counts of the binary matrices without zero rows or columns, up to the order of their rows.

    Such a matrix is a multiset of nonzero rows. Leaving out the zero columns is inclusion-exclusion
    over the set of columns that all rows avoid; `m` below is the number of columns that remain.
    Where columns may be zero, the only term is that of all columns, `m = d_in`.

    Polynomials in the number of ones are packed into single integers (Kronecker substitution: the
    coefficient of x^n sits at bit `n * width`), so that Python's integers do the convolutions.

    Args:
        d_in: Columns.
        d_out: Rows.
        columns: `"all"`: no column is zero. `"any"`: columns may be zero.

    Raises:
        ValueError: If counting would take much longer than a few seconds.
    """

    def __init__(self, d_in: int, d_out: int, columns: Used = "all") -> None:
        # `count` is a sum over the columns of numbers with about so many bits.
        bits = d_in * min(d_out, 2 ** min(d_in, d_out.bit_length()))
        if d_in > MOST_COLUMNS or bits > MOST_BITS or d_in * bits > MOST_BITS_IN_ALL:
            raise ValueError(
                f"d_in must be at most {MOST_COLUMNS}, and d_in x d_out not much beyond 512 x 512, "
                f"for masks to be counted in seconds, got {shown(d_in)} x {shown(d_out)}"
            )
        self.d_in = d_in
        self.d_out = d_out
        self.columns: Used = columns
        self._width = multisets(2**d_in - 1, d_out).bit_length() + 1
        self._packed: dict[tuple[int, int], list[int]] = {}

    @cached_property
    def signs(self) -> list[int]:
        """(-1)^(d_in - m) C(d_in, m), the weight of `m` remaining columns, for m = 0 to d_in."""
        if self.columns == "any":
            return [0] * self.d_in + [1]
        return [(-1) ** (self.d_in - m) * comb(self.d_in, m) for m in range(self.d_in + 1)]

    @cached_property
    def count(self) -> int:
        """The number of matrices: the sum over m of its weight times C(2^m - 2 + d_out, d_out)."""
        return sum(
            sign * multisets(2**m - 1, self.d_out) for m, sign in enumerate(self.signs) if m > 0
        )

    @cached_property
    def by_ones(self) -> dict[int, int]:
        """The number of matrices for each number of ones, ascending.

        Raises:
            ValueError: If a matrix has more than `MOST_ENTRIES` entries.
        """
        if self.d_in * self.d_out > MOST_ENTRIES:
            raise ValueError(
                f"d_in x d_out must be at most {MOST_ENTRIES} to list masks or count them by "
                f"nonzeros, got {self.d_in} x {self.d_out}; .count works for any size"
            )
        fewest = max(self.d_in, self.d_out) if self.columns == "all" else self.d_out
        ones = range(fewest, self.d_in * self.d_out + 1)
        return {n: self.with_ones(n) for n in ones}

    def with_ones(self, n: int) -> int:
        """The number of matrices with `n` ones."""
        return sum(
            sign * self.row_multisets(m, m, self.d_out, n) for m, sign in enumerate(self.signs)
        )

    def row_multisets(self, m: int, largest: int, rows: int, n: int) -> int:
        """How many multisets of `rows` nonzero rows in `m` columns have `n` ones, `largest` a row.

        Args:
            m: Columns.
            largest: The most ones of a row.
            rows: Rows.
            n: Ones in all.
        """
        packed = self._polynomials(m, min(largest, m))[rows]
        return (packed >> (n * self._width)) & ((1 << self._width) - 1)

    def _polynomials(self, m: int, largest: int) -> list[int]:
        """The packed polynomial of `row_multisets` for every number of rows up to `d_out`."""
        for part in range(largest + 1):
            if (m, part) in self._packed:
                continue
            if part == 0:
                self._packed[m, 0] = [1] + [0] * self.d_out
                continue
            smaller = self._packed[m, part - 1]
            ways = [multisets(comb(m, part), copies) for copies in range(self.d_out + 1)]
            shift = part * self._width
            self._packed[m, part] = [
                sum(
                    (ways[copies] * smaller[rows - copies]) << (copies * shift)
                    for copies in range(rows + 1)
                    if smaller[rows - copies]
                )
                for rows in range(self.d_out + 1)
            ]
        return self._packed[m, largest]

    def runs(
        self, weights: list[int], largest: int, rows: int, n: int
    ) -> Iterator[tuple[int, int, int]]:
        """The ways to choose the next run of rows with equal counts of ones, in list order.

        Args:
            weights: For each `m`, the number of choices of the runs before this one.
            largest: The next run's rows have at most this many ones.
            rows: Rows still to place.
            n: Ones still to place.

        Yields:
            (ones in each row of the run, rows of the run, matrices that begin so).
        """
        for ones in range(1, min(largest, n) + 1):
            for length in range(1, min(rows, n // ones) + 1):
                matrices = sum(
                    sign
                    * weights[m]
                    * multisets(comb(m, ones), length)
                    * self.row_multisets(m, ones - 1, rows - length, n - length * ones)
                    for m, sign in enumerate(self.signs)
                    if ones <= m
                )
                if matrices:
                    yield ones, length, matrices

    def run_at(
        self, rank: int, weights: list[int], largest: int, rows: int, n: int
    ) -> tuple[int, int, int]:
        """The run of the matrix at `rank` among `runs`, and its rank among those that begin so."""
        for ones, length, matrices in self.runs(weights, largest, rows, n):
            if rank < matrices:
                return ones, length, rank
            rank -= matrices
        raise IndexError(f"rank exceeds the number of matrices by {rank}")

    def after_run(self, weights: list[int], ones: int, length: int) -> list[int]:
        """`weights` once a run of `length` rows with `ones` ones each has joined the others."""
        return [
            weight * multisets(comb(m, ones), length) if ones <= m else 0
            for m, weight in enumerate(weights)
        ]

    @property
    def to_cover(self) -> int:
        """The columns that must not be zero, as a binary number, first column most significant."""
        return 2**self.d_in - 1 if self.columns == "all" else 0

    def rows_beyond(
        self, value: int, uncovered: int, length: int, later: list[int], *, greater: bool
    ) -> int:
        """How many completions have a next row with as many ones as `value` that is less (greater).

        The `length` rows that are left of the run are a multiset of rows less than `value` (the
        next one is the greatest of them), and the later runs are free; likewise for greater rows,
        of which the next is the least. Over the sets J of columns that all of them avoid, only two
        numbers matter: how many columns remain, and how many rows beyond `value` avoid J. Reading
        `value` from its last bit, those pairs stay few.

        Args:
            value: The row as a binary number, first column most significant.
            uncovered: The columns still to be covered, as a binary number.
            length: Rows of the run from the next one on.
            later: For each `m`, the number of choices of the runs that come later.
            greater: Whether rows greater than `value` are meant.
        """
        signed = {(0, 0): 1}
        ones = 0
        for bit in range(self.d_in):
            is_one = value >> bit & 1
            grown: dict[tuple[int, int], int] = {}
            for (free, beyond), sign in signed.items():
                # Beyond `value` from this bit on: the other digit here, the ones left anywhere
                # after it.
                if greater:
                    here = comb(free, ones - 1) if ones and not is_one else 0
                    avoiding = 0 if is_one else beyond
                else:
                    here = comb(free, ones + 1) if is_one else 0
                    avoiding = here if is_one else beyond
                kept = (free + 1, beyond + here)
                grown[kept] = grown.get(kept, 0) + sign
                if uncovered >> bit & 1:
                    avoided = (free, avoiding)
                    grown[avoided] = grown.get(avoided, 0) - sign
            signed = grown
            ones += is_one
        return sum(
            sign * multisets(beyond, length) * later[free]
            for (free, beyond), sign in signed.items()
            if beyond
        )
