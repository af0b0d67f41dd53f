"""All eligible masks with a given number of ones at once, where they are few enough to hold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from prunelimits.enumeration.eligible_counts import Used
from prunelimits.enumeration.eligible_ranks import Order

Bits = NDArray[np.bool_]
Integers = NDArray[np.int64]


def eligible_bits(
    d_in: int, d_out: int, ones: int, *, columns: Used = "all", order: Order = "ascending"
) -> Bits:
    """The eligible masks of `d_out` rows and `d_in` columns with `ones` ones, in list order.

    Args:
        d_in: Columns.
        d_out: Rows.
        ones: Ones of each mask.
        columns: `"all"`: no column is zero. `"any"`: columns may be zero.
        order: How masks with equal row counts are compared, as in `EligibleMasks`.

    Returns:
        Shape `(masks, d_out * d_in)`, each mask flattened row by row.
    """
    values = np.arange(2**d_in, dtype=np.int64)
    counts = np.bitwise_count(values)
    rows_by_count = {k: values[counts == k] for k in range(1, d_in + 1)}
    blocks = [
        _masks_with_row_counts(row_counts, d_in if columns == "all" else 0, rows_by_count)
        for row_counts in _row_counts(ones, d_out, d_in)
    ]
    if order == "published":
        # Of the keys of a lexical sort the last counts most, as the last row does.
        blocks = [block[np.lexsort(block.T)[::-1]] for block in blocks]
    rows = np.concatenate(blocks)
    shifts = np.arange(d_in - 1, -1, -1)
    return ((rows[:, :, None] >> shifts) & 1).astype(bool).reshape(len(rows), d_out * d_in)


def _row_counts(ones: int, rows: int, largest: int) -> Iterator[tuple[int, ...]]:
    """Non-increasing `rows`-tuples of 1 to `largest` with sum `ones`, in ascending order."""
    if not rows <= ones <= rows * largest:
        return
    if rows == 0:
        yield ()
    for first in range(1, min(largest, ones) + 1):
        for copies in range(1, min(rows, ones // first) + 1):
            for rest in _row_counts(ones - copies * first, rows - copies, first - 1):
                yield (first,) * copies + rest


def _masks_with_row_counts(
    row_counts: tuple[int, ...], to_cover: int, rows_by_count: dict[int, Integers]
) -> Integers:
    """The masks with these counts of ones by row, as row values of shape `(masks, d_out)`.

    Grown row by row. A row is at most the one above it if they have equal counts. The first rows of
    a mask are dropped once the rows to come have fewer ones than there are columns left to cover;
    `to_cover` is how many columns must not be zero.
    """
    grown = np.zeros((1, 0), dtype=np.int64)
    position = np.zeros(1, dtype=np.int64)
    covered = np.zeros(1, dtype=np.int64)
    ones_left = sum(row_counts)
    previous = 0
    for ones in row_counts:
        rows = rows_by_count[ones]
        choices = position + 1 if ones == previous else np.full(len(grown), len(rows))
        parent = np.repeat(np.arange(len(grown)), choices)
        position = np.arange(len(parent)) - np.repeat(np.cumsum(choices) - choices, choices)
        covered = covered[parent] | rows[position]
        ones_left -= ones
        can_cover = to_cover - np.bitwise_count(covered).astype(np.int64) <= ones_left
        parent, position, covered = parent[can_cover], position[can_cover], covered[can_cover]
        grown = np.concatenate([grown[parent], rows[position][:, None]], axis=1)
        previous = ones
    return grown
