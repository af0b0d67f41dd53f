"""The rank of one eligible mask among those with as many ones, and back, by exact counting.

First come the row counts: the order of the list compares those first, from the top row. They are
taken as *runs*, rows with equal counts. Then come the rows themselves, one by one in the order in
which the list compares them: from the top, least row first, or as the paper's published code lists
them, from the bottom, greatest row first. Either way, what is left of a run once some of its rows
are known is a multiset of rows on one side of the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal, TypeAlias

from prunelimits.enumeration.eligible_counts import EligibleCounts

Order: TypeAlias = Literal["ascending", "published"]
"""How the list compares masks with equal row counts: see `EligibleMasks`."""

Run: TypeAlias = tuple[int, int]
"""Rows with equal counts of ones: (ones in each row, rows)."""


class EligibleRanks:
    """Ranks among the eligible masks with equal numbers of ones, one mask at a time.

    Args:
        counts: The counts of the matrices that are ranked.
        order: How masks with equal row counts are compared.
    """

    def __init__(self, counts: EligibleCounts, order: Order = "ascending") -> None:
        self._counts = counts
        self._published = order == "published"

    def rank(self, rows: Sequence[int]) -> int:
        """The rank of a mask given as its rows, binary numbers from the top."""
        row_counts = [row.bit_count() for row in rows]
        runs = [(ones, len(list(run))) for ones, run in groupby(row_counts)]
        rank = 0
        weights, largest, rows_left, ones_left = self._nothing_placed(sum(row_counts))
        for run in runs:
            for ones, length, masks in self._counts.runs(weights, largest, rows_left, ones_left):
                if (ones, length) == run:
                    break
                rank += masks
            weights = self._counts.after_run(weights, *run)
            largest, rows_left = run[0] - 1, rows_left - run[1]
            ones_left -= run[0] * run[1]
        uncovered = self._counts.to_cover
        for row, (_, length, later) in zip(
            self._compared(rows), self._row_contexts(runs), strict=True
        ):
            rank += self._before(row, uncovered, length, later)
            uncovered &= ~row
        return rank

    def unrank(self, total: int, rank: int) -> list[int]:
        """The rows of the mask at `rank` among those with `total` ones, the inverse of `rank`."""
        runs: list[Run] = []
        weights, largest, rows_left, ones_left = self._nothing_placed(total)
        while rows_left:
            ones, length, rank = self._counts.run_at(rank, weights, largest, rows_left, ones_left)
            runs.append((ones, length))
            weights = self._counts.after_run(weights, ones, length)
            largest, rows_left = ones - 1, rows_left - length
            ones_left -= ones * length
        uncovered = self._counts.to_cover
        rows: list[int] = []
        row_at = self._least_row if self._published else self._greatest_row
        for ones, length, later in self._row_contexts(runs):
            row, before = row_at(rank, ones, uncovered, length, later)
            rank -= before
            uncovered &= ~row
            rows.append(row)
        return self._compared(rows)

    def _compared(self, rows: Sequence[int]) -> list[int]:
        """`rows` in the order in which the list compares them; its own inverse."""
        return list(reversed(rows)) if self._published else list(rows)

    def _before(self, row: int, uncovered: int, length: int, later: list[int]) -> int:
        """Completions whose next row comes before `row` in the list."""
        return self._counts.rows_beyond(row, uncovered, length, later, greater=self._published)

    def _greatest_row(
        self, rank: int, ones: int, uncovered: int, length: int, later: list[int]
    ) -> tuple[int, int]:
        """The greatest row with at most `rank` completions below it, and how many those are."""
        # `row` is always the least one that begins with the bits that are decided.
        row, below = (1 << ones) - 1, 0
        prefix = 0
        for bit in range(self._counts.d_in - 1, -1, -1):
            if ones == 0 or ones > bit:
                break
            least = prefix | 1 << bit | (1 << (ones - 1)) - 1
            least_below = self._before(least, uncovered, length, later)
            if least_below <= rank:
                row, below = least, least_below
                prefix |= 1 << bit
                ones -= 1
        return row, below

    def _least_row(
        self, rank: int, ones: int, uncovered: int, length: int, later: list[int]
    ) -> tuple[int, int]:
        """The least row with at most `rank` completions above it, and how many those are."""
        # `row` is always the greatest one that begins with the bits that are decided.
        row, above = ((1 << ones) - 1) << (self._counts.d_in - ones), 0
        prefix = 0
        for bit in range(self._counts.d_in - 1, -1, -1):
            if ones == 0 or ones > bit:
                break
            greatest = prefix | ((1 << ones) - 1) << (bit - ones)
            greatest_above = self._before(greatest, uncovered, length, later)
            if greatest_above <= rank:
                row, above = greatest, greatest_above
            else:
                prefix |= 1 << bit
                ones -= 1
        return row, above

    def _nothing_placed(self, total: int) -> tuple[list[int], int, int, int]:
        """Weights, largest row count, rows left and ones left before the first run."""
        counts = self._counts
        return [1] * (counts.d_in + 1), counts.d_in, counts.d_out, total

    def _row_contexts(self, runs: list[Run]) -> Iterator[tuple[int, int, list[int]]]:
        """For each row, in the order of comparison: its ones, rows left in its run, later weights.

        The weights are those of the runs that are compared later, as in `rows_beyond`.
        """
        compared = runs[::-1] if self._published else runs
        later = [[1] * (self._counts.d_in + 1)]
        for run in reversed(compared[1:]):
            later.append(self._counts.after_run(later[-1], *run))
        for (ones, length), weights in zip(compared, reversed(later), strict=True):
            for done in range(length):
                yield ones, length - done, weights
