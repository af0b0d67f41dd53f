"""The table of the studies of real tasks: a row for what a method gave at one budget of a split."""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kept_rows import write_lines


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


def at_least_one(text: str) -> int:
    """A number of the command line that counts something.

    Raises:
        argparse.ArgumentTypeError: If it counts nothing.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def not_negative(text: str) -> float:
    """A time of the command line.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, got {text!r}")
    return number


def table_path(text: str) -> Path:
    """Where a table is or is to be: told before the first training, not after it.

    Raises:
        argparse.ArgumentTypeError: If it is a folder, or in none.
    """
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"must be a file in a folder that is there, got {text!r}")
    return path


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
    before = path.read_bytes() if path.exists() else b""
    lines: list[Sequence[object]] = [] if before else [Row._fields]
    for row in rows:
        cells = row._replace(cost=f"{row.cost:.5g}")
        lines.append([" ".join(map(str, c)) if isinstance(c, tuple) else c for c in cells])
    write_lines(lines, path, before=before)


def _row(path: Path, line: int, cells: Sequence[str]) -> Row:
    try:
        task, split, method, times, first, keep, cost, *rest = cells
        right = [tuple(map(int, cell.split())) for cell in rest[:4]]
        choose_rows, test_rows, seconds = rest[4:]
        return Row(task, int(split), method, int(times), int(first), int(keep), float(cost), *right,
                   int(choose_rows), int(test_rows), float(seconds))  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{path}, line {line}, is no row of a study: {error}") from error
