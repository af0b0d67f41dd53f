"""Files of rows that studies add to, so that a study goes on where it was left."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from prunelimits.resuming import write_whole


def write_lines(lines: Iterable[Sequence[object]], path: Path, *, before: bytes = b"") -> None:
    """Writes a table whole or not at all, so that a study that is killed leaves one to go on from.

    Args:
        lines: The cells of each.
        path: The table.
        before: What the table begins with.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    write_whole(before + text.getvalue().encode(), path)


def read_rows(path: Path | None) -> list[dict[str, str]]:
    """The rows of a file, none where there is none yet."""
    if path is None or not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def add_rows(path: Path | None, new: Sequence[Mapping[str, object]]) -> None:
    """Adds rows of the same columns to the end of a file, which it makes with the first.

    Raises:
        ValueError: If the file has other columns.
    """
    if path is None or not new:
        return
    columns, fresh = list(new[0]), not path.exists()
    if not fresh:
        with open(path, newline="") as file:
            found = next(csv.reader(file), [])
        if found != columns:
            raise ValueError(f"{path} must have the columns {columns}, got {found}")
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerows(new)
