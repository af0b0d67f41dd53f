"""The tables of what searches found, size by size, from what `prunelimits show --csv` wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kept_rows import read_rows
from page_tables import markdown

# Name of the table, file, target, and whether only the sizes that beat every smaller one count.
SEARCHES = (
    ("search-exhausted", "widths-2-3-3-3-1.csv", 0.95, False),
    ("search-appendix-d", "appendix-d.csv", 0.995, False),
    ("search-published-subset", "published-subset.csv", 0.995, False),
    ("search-bench-995", "bench-995-masks.csv", 0.995, False),
    ("search-phase-one", "phase-one.csv", 0.995, True),
)


def search(path: Path, target: float, records: bool = False) -> str:
    """A row a size that has trainings; with `records` only those better than every smaller one."""
    header = ("nonzeros", "networks", "trainings", f"at {100 * target:g} %", "best accuracy")
    lines: list[list[str]] = []
    best = 0.0
    for row in read_rows(path):
        accuracy = float(row["accuracy"])
        if int(row["trainings"]) and (not records or accuracy > best):
            numbers = (row[name] for name in ("nonzeros", "networks", "trainings", "reached"))
            lines.append([*(f"{int(number):,}" for number in numbers), f"{accuracy:.2%}"])
        best = max(best, accuracy)
    return markdown(header, lines, left=0)


def trimmed(path: Path) -> str:
    """What the networks of searches lose as pruners' networks are trimmed."""
    rows: list[list[str]] = []
    for row in read_rows(path):
        rows.append([f"{row['network']}-at-{row['target'].removeprefix('0.')}.pt"])
        for size in ("nonzeros", "trimmed", "part"):
            accuracy = row["accuracy" if size == "nonzeros" else f"{size}_accuracy"]
            rows[-1].append(f"{row[size]} ({float(accuracy):.2%})")
    return markdown(("network", "found", "trimmed", "smallest part"), rows)


def tables(folder: Path) -> dict[str, Callable[[], str]]:
    """Every table by name, from the results in a folder."""

    def of(name: str, target: float, records: bool) -> Callable[[], str]:
        return lambda: search(folder / name, target, records)

    found = {name: of(file, target, records) for name, file, target, records in SEARCHES}
    return found | {"trimmed": lambda: trimmed(folder / "trimmed.csv")}
