"""The table of the study of units: the best network that a method has of some number of units."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kept_rows import write_lines

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = DOCS / "results" / "real-units.csv"


class Row(NamedTuple):
    """The best network that a method has of some number of hidden units.

    Attributes:
        task: Its name.
        split: From 0.
        method: As in the tables.
        units: Hidden units on a path from an input to an output, of all layers together.
        weights: That it keeps, on a path.
        choose: Accuracy on the choosing rows, by which it is the best.
        test: On the test rows.
        cost: Kept parameters times samples, of everything that the method trained on the split.
        seconds: Likewise.
    """

    task: str
    split: int
    method: str
    units: int
    weights: int
    choose: float
    test: float
    cost: float
    seconds: float


def read_rows(path: Path = RESULTS) -> list[Row]:
    """The rows of a table; none where it is missing."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [
            Row(r["task"], int(r["split"]), r["method"], int(r["units"]), int(r["weights"]),
                *(float(r[name]) for name in Row._fields[5:]))
            for r in csv.DictReader(file)
        ]  # fmt: skip


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Writes the table."""
    write_lines([Row._fields, *rows], path)
