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
    """The rows of a file, none where there is none yet; lines that begin with # are notes."""
    if path is None or not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def add_rows(path: Path | None, new: Sequence[Mapping[str, object]]) -> None:
    """Adds rows of the same columns to the end of a file, which it makes with the first.

    All of them or none.

    Raises:
        ValueError: If the file has other columns.
    """
    if path is None or not new:
        return
    columns = list(new[0])
    if path.exists():
        with open(path, newline="") as file:
            found = next(csv.reader(file), [])
        if found != columns:
            raise ValueError(f"{path} must have the columns {columns}, got {found}")
    append([[row[column] for column in columns] for row in new], path, columns)


def append(lines: Sequence[Sequence[object]], path: Path, columns: Sequence[str]) -> None:
    """Adds lines to the end of a table, which begins with its columns: all of them or none."""
    before = path.read_bytes() if path.exists() else b""
    write_lines(lines if before else [columns, *lines], path, before=before)
