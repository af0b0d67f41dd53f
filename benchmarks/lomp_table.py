"""Puts the table of `lomp.py` into docs/lomp.md, from docs/results/lomp.csv.

    python benchmarks/lomp_table.py

A test fails while the page does not say what the file holds.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from kept_rows import read_rows
from page_tables import markdown, refreshed

DOCS = Path(__file__).parent.parent / "docs"
PAGE, TABLE = DOCS / "lomp.md", DOCS / "results" / "lomp.csv"
COLUMNS = ("data", "network", "weights", "method", "remaining", "seed", "accuracy")
KEEP = (0.2, 0.1, 0.05, 0.02)
AT_LIMIT = "at its limit"
Row = dict[str, str]


def rows() -> list[Row]:
    """Every run that is kept."""
    return read_rows(TABLE)


def table(kept: Sequence[Row]) -> str:
    """Mean and standard deviation over seeds, in percent, by method and by what remains."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in kept:
        network = f"{row['data']}, {row['network']}, {int(row['weights']):,} weights"
        groups[network, row["method"]].append(row)
    lines: list[list[str]] = []
    last = ""
    for (network, method), found in groups.items():
        if method.endswith(AT_LIMIT):  # a cell of the row before
            continue
        cells = [
            _spread([row for row in found if float(row["remaining"]) == share], "accuracy")
            for share in (1.0, *KEEP)
        ]
        limit = groups.get((network, f"{method}, {AT_LIMIT}"), [])
        cells.append(
            f"{_spread(limit, 'accuracy')} ({_spread(limit, 'remaining')})" if limit else ""
        )
        lines.append([network if network != last else "", method, *cells])
        last = network
    header = ("network", "method", "100%", *(f"{share:.0%}" for share in KEEP), AT_LIMIT)
    return markdown(header, lines, left=2)


def _spread(kept: list[Row], column: str) -> str:
    values = [100 * float(row[column]) for row in kept]
    if len(values) < 2:
        return f"{values[0]:.1f}" if values else ""
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


def filled(page: str) -> str:
    """The page with its table made anew."""
    return refreshed(page, {"lomp": lambda: table(rows())})


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
