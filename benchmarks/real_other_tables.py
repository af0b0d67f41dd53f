"""The tables of the catalogue's other methods in docs/real-tasks.md; real_tables.py writes them.

Of docs/results/real-others.csv, beside the best of the nine on the same splits of
docs/results/real-tasks.csv.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from page_tables import markdown, points
from real_choices import NINE, RANKS, best_of, by_place, chosen_at
from real_methods import LEVELS, others
from real_rows import Row, read_rows
from real_tasks import TASKS

RESULTS = Path(__file__).parent.parent / "docs" / "results" / "real-others.csv"


def table(of_two: Sequence[Row], more: Sequence[Row], level: float) -> str:
    """Points above the best of the nine at a cost, by rank of budget: medians over the splits.

    Of the splits that every method has; with an interval, as of no task there are many.
    """
    methods = list(dict.fromkeys(variant.method for variant in others().variants))
    has: dict[tuple[str, int], set[str]] = defaultdict(set)
    for row in more:
        has[row.task, row.split].add(row.method)
    whole = {place for place, names in has.items() if names == set(methods)}
    rows = [row for row in [*of_two, *more] if (row.task, row.split) in whole]
    budgets = {task.name: sorted(task.budgets) for task in TASKS}
    above: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (task, _, keep), there in by_place(rows).items():
        chosen = chosen_at(there, level)
        best = best_of(chosen, NINE)
        for method in methods:
            if best is not None and method in chosen:
                above[method][budgets[task].index(keep)].append(chosen[method].test - best.test)
    lines = [
        [method, *(points(above[method][rank]) for rank in range(len(RANKS)))] for method in methods
    ]
    return markdown(("", *RANKS), lines)


def tables(of_two: Path, more: Path = RESULTS) -> dict[str, Callable[[], str]]:
    """Every table by name; none where there are no results."""
    if not more.exists():
        return {}
    found = read_rows(of_two), read_rows(more)
    return {f"others-{level}": partial(table, *found, level) for level in LEVELS}
