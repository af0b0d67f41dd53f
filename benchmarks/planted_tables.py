"""The tables of docs/planted.md, from docs/results/planted.csv.

Run it by `python benchmarks/planted_tables.py` whenever the results have grown; a test fails while
the page does not say what they hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from page_tables import markdown, refreshed
from planted import ORDER, TASKS, PlantedTask, Row, read_rows

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "results" / "planted.csv", DOCS / "planted.md"


def of_task(rows: Sequence[Row], task: PlantedTask) -> str:
    """Medians over the starts, the best of them in brackets, and the share of what was hidden."""
    mine = [row for row in rows if row.task == task.name]
    budgets = sorted({row.keep for row in mine})
    if not mine:
        return "Not run yet."
    table: list[list[str]] = []
    for method in ORDER:
        cells: list[str] = []
        for keep in budgets:
            there = [r for r in mine if (r.method, r.keep) == (method, keep)]
            cells += [_result(there, task), f"{median(r.found for r in there):.0%}"] if there else [
                "", "",
            ]  # fmt: skip
        if any(cells):
            table.append([method, *cells])
    header = ("", *(cell for keep in budgets for cell in (f"{keep} weights", "found")))
    return markdown(header, table)


def _result(rows: Sequence[Row], task: PlantedTask) -> str:
    values = [row.result for row in rows]
    lost = sum(math.isnan(value) for value in values)
    if lost:
        return f"{lost} of {len(values)} diverged"
    if task.loss == "mse":
        return f"{median(values):.3f} ({min(values):.3f})"
    return f"{median(values):.1%} ({max(values):.1%})"


def tables(results: Path) -> dict[str, Callable[[], str]]:
    """Every table by name."""
    rows = read_rows(results)
    return {f"planted-{task.name}": partial(of_task, rows, task) for task in TASKS}


def main() -> None:
    """Refreshes the page."""
    PAGE.write_text(refreshed(PAGE.read_text(), tables(RESULTS)))


if __name__ == "__main__":
    main()
