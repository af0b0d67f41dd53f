"""The tables of convolutional networks in docs/real-tasks.md; real_tables.py writes them there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from page_tables import markdown, points
from real_choices import NINE, best_of, by_place, chosen_at, unit_cost
from real_convolutions import CHANNELS, EARLY, REGROWTH, TASKS
from real_rows import Row, read_rows

RESULTS = Path(__file__).parent.parent / "docs" / "results" / "real-convolutions.csv"
OURS = (EARLY, CHANNELS)
LEVELS = (1, 2)
"""Costs, in runs of LTH."""
MOST = 10
"""What regrowth may cost."""


def table(rows: Sequence[Row], level: float) -> str:
    """Test accuracy of every method at a cost, medians of the splits; then beside the best.

    Of what is above the best of the nine a 95 % interval, too, where there are six splits or more.
    """
    places = by_place(rows)
    columns = [(task.name, keep) for task in TASKS for keep in task.budgets
               if any(name == task.name for name, *_ in places)]  # fmt: skip
    lines: list[list[str]] = []
    chosen = {place: chosen_at(there, level) for place, there in places.items()}
    for method in (*NINE, *OURS):
        found = [[c[method].test for (name, _, keep), c in chosen.items()
                  if (name, keep) == column and method in c] for column in columns]  # fmt: skip
        lines.append([method, *(f"{median(values):.1%}" if values else "" for values in found)])
    for method in OURS:
        cells: list[str] = []
        for column in columns:
            above = [
                c[method].test - best.test
                for (name, _, keep), c in chosen.items()
                if (name, keep) == column and method in c
                and set(NINE) <= set(c) and (best := best_of(c, NINE)) is not None
            ]  # fmt: skip
            cells.append(points(above))
        lines.append([f"{method}, above the best of nine", *cells])
    return markdown(("", *(f"{name}, {keep}" for name, keep in columns)), lines)


def regrown_table(rows: Sequence[Row]) -> str:
    """Every run of regrowth, and what the others come to at its cost, with the starts they have."""
    lines: list[list[str]] = []
    for (name, split, keep), there in sorted(by_place(rows).items()):
        unit = unit_cost(there)
        ours = chosen_at(there, MOST).get(REGROWTH)
        if unit is None or ours is None:
            continue
        chosen = chosen_at(there, ours.spent / unit)
        best = best_of(chosen, NINE)
        if CHANNELS in chosen and best is not None:
            early = chosen[CHANNELS]
            lines.append(
                [
                    *(name, str(split), str(keep), f"{ours.test:.1%}"),
                    f"{ours.spent / unit:.1f}",
                    f"{best.test:.1%} ({best.method}, {best.starts} starts)",
                    f"{early.test:.1%} ({early.starts} starts)",
                    f"{100 * (ours.test - best.test):+.1f}",
                    f"{100 * (ours.test - early.test):+.1f}",
                ]
            )
    header = ("task", "split", "weights", REGROWTH, "runs of LTH", "best of the nine", CHANNELS,
              "above the nine", "above channels first")  # fmt: skip
    return markdown(header, lines)


def tasks_table(rows: Sequence[Row]) -> str:
    """What was trained, and the dense networks' accuracy."""
    lines: list[list[str]] = []
    for task in TASKS:
        dense = [r for r in rows if (r.task, r.method) == (task.name, "dense")]
        if dense:
            accuracy = median(right / r.test_rows for r in dense for right in r.test)
            seconds = sum(r.seconds for r in rows if r.task == task.name)
            lines.append([task.name, str(dense[0].keep), str(task.epochs), str(task.starts),
                          str(len(dense)), str(dense[0].test_rows), f"{accuracy:.1%}",
                          f"{seconds / 60:.0f}"])  # fmt: skip
    header = ("task", "weights", "epochs", "starts", "splits", "images to test", "dense", "minutes")
    return markdown(header, lines)


def tables(path: Path = RESULTS) -> dict[str, Callable[[], str]]:
    """Every table by name."""
    rows = read_rows(path)
    named: dict[str, Callable[[], str]] = {
        "convolutions": lambda: tasks_table(rows),
        "convolutions-regrowth": lambda: regrown_table(rows),
    }
    return named | {f"convolutions-{level}": partial(table, rows, level) for level in LEVELS}
