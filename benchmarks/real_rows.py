"""The table of the studies of real tasks: a row for what a method gave at one budget of a split."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import kept_rows


class Row(NamedTuple):
    """What a method gave at one budget of one split.

    Attributes:
        task: Its name.
        split: From 0.
        method: The pruner's name with its settings.
        times: How many times the task's epochs a training has.
        first: Number of the first start.
        keep: Weights that survive, at most.
        cost: Kept parameters times samples of one start, on average.
        nonzeros: Weights and biases that are kept, of every start.
        effective: Those on a path from an input to an output.
        choose: Rows of the choosing part that every start classifies right.
        test: Rows of the test part.
        choose_rows: How many there are.
        test_rows: Likewise.
        seconds: Of the training of all budgets and starts together.
    """

    task: str
    split: int
    method: str
    times: int
    first: int
    keep: int
    cost: float
    nonzeros: tuple[int, ...]
    effective: tuple[int, ...]
    choose: tuple[int, ...]
    test: tuple[int, ...]
    choose_rows: int
    test_rows: int
    seconds: float


def read_rows(path: Path) -> list[Row]:
    """The rows of a table; none where it is missing.

    Raises:
        ValueError: If it has other columns, or a line that is no row, which is named.
    """
    if not path.exists():
        return []
    with open(path, newline="") as file:
        table = csv.reader(file)
        if tuple(next(table, ())) != Row._fields:
            raise ValueError(f"{path} must have the columns {', '.join(Row._fields)}")
        return [_row(path, number, cells) for number, cells in enumerate(table, start=2)]


def append(rows: Sequence[Row], path: Path) -> None:
    """Adds rows to a table, which begins with the names of its columns: all of them or none."""
    lines: list[Sequence[object]] = []
    for row in rows:
        cells = row._replace(cost=f"{row.cost:.5g}")
        lines.append([" ".join(map(str, c)) if isinstance(c, tuple) else c for c in cells])
    kept_rows.append(lines, path, Row._fields)


def _row(path: Path, line: int, cells: Sequence[str]) -> Row:
    try:
        task, split, method, times, first, keep, cost, *rest = cells
        right = [tuple(map(int, cell.split())) for cell in rest[:4]]
        choose_rows, test_rows, seconds = rest[4:]
        return Row(task, int(split), method, int(times), int(first), int(keep), float(cost), *right,
                   int(choose_rows), int(test_rows), float(seconds))  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{path}, line {line}, is no row of a study: {error}") from error
