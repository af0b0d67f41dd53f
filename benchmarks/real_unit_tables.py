"""The tables of units in docs/structured.md, from docs/results/real-units.csv.

Run it by `python benchmarks/real_unit_tables.py` whenever the table of results has grown; a test
fails while the page does not say what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from page_tables import markdown, refreshed
from real_unit_places import SPIRAL, TASKS
from real_unit_rows import DOCS, RESULTS, Row, read_rows
from real_units import methods

PAGE = DOCS / "structured.md"


class Fewest(NamedTuple):
    """The network of fewest units that reaches a target by the choosing rows."""

    units: float
    weights: float
    test: float


def fewest(rows: Sequence[Row], task: str, split: int, method: str, rank: int) -> Fewest | None:
    """The fewest units of a method at a target; None where it did not reach it."""
    mine = [row for row in rows if (row.task, row.split) == (task, split)]
    (target,) = (row.choose for row in mine if row.method == f"target {rank}")
    reaching = [r for r in mine if r.method == method and r.choose >= target]
    best = min(reaching, key=lambda r: (r.units, -r.choose), default=None)
    return None if best is None else Fewest(best.units, best.weights, best.test)


def units_table(rows: Sequence[Row], rank: int) -> str:
    """Fewest units by method and task: the median over the splits, and how many reached it."""
    tasks = [task for task in TASKS if any(row.task == task for row in rows)]
    table: list[list[str]] = []
    for method in methods():
        cells: list[str] = []
        for task in tasks:
            splits = sorted({r.split for r in rows if (r.task, r.method) == (task, method)})
            found = [fewest(rows, task, split, method, rank) for split in splits]
            cells.append(_cell(found, spiral=task == SPIRAL))
        table.append([method, *cells])
    return markdown(("", *tasks), table)


def _cell(found: Sequence[Fewest | None], *, spiral: bool) -> str:
    reached = [one for one in found if one is not None]
    if not found:
        return ""
    if 2 * len(reached) <= len(found):
        return f"none ({len(reached)} of {len(found)})"
    units, weights, test = (median(column) for column in zip(*reached, strict=True))
    told = f"**{units:g}** ({weights:g} weights"
    told += ")" if spiral else f"; {test:.1%})"
    return told if len(reached) == len(found) else f"{told}, {len(reached)} of {len(found)}"


def costs_table(rows: Sequence[Row]) -> str:
    """Kept parameters times samples, as a multiple of LTH's, by task: medians of the splits."""
    tasks = [task for task in TASKS if any(row.task == task for row in rows)]
    table: list[list[str]] = []
    for method in methods():
        cells: list[str] = []
        for task in tasks:
            costs = {(r.split, r.method): r.cost for r in rows if r.task == task}
            ratios = [
                cost / costs[split, "LTH"]
                for (split, name), cost in costs.items()
                if name == method and (split, "LTH") in costs
            ]
            cells.append(f"{median(ratios):.2g}" if ratios else "")
        table.append([method, *cells])
    return markdown(("", *tasks), table)


def tables(path: Path = RESULTS) -> dict[str, Callable[[], str]]:
    """Every table by name."""
    rows = read_rows(path)
    return {
        "units-high": lambda: units_table(rows, 0),
        "units-low": lambda: units_table(rows, 1),
        "units-cost": lambda: costs_table(rows),
    }


def main() -> None:
    """Refreshes the page."""
    PAGE.write_text(refreshed(PAGE.read_text(), tables()))


if __name__ == "__main__":
    main()
