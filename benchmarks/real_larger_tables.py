"""The table of larger budgets in docs/real-tasks.md; real_tables.py writes it there.

Of docs/results/real-larger.csv, below what the same tasks, splits and methods come to at the
largest budget of docs/results/real-tasks.csv.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median

from page_tables import markdown, points
from real_choices import FITTING, NINE, Chosen, best_of, by_place, chosen_at
from real_methods import BEST, LEVELS, gmp_name
from real_rows import Row, read_rows
from real_tasks import TASKS

RESULTS = Path(__file__).parent.parent / "docs" / "results" / "real-larger.csv"
EARLY = (gmp_name(BEST),)


def table(of_two: Sequence[Row], more: Sequence[Row]) -> str:
    """Points of test accuracy below the dense networks, by task and budget: medians of splits.

    The best of the nine and of GMP that is done earlier at either cost, and at the larger one
    regrowth, where it is paid for on every split; then how far that is above the best of the nine.
    """
    lines: list[list[str]] = []
    for task in TASKS:
        mine = [row for row in more if row.task == task.name]
        splits = sorted({row.split for row in mine if row.method == EARLY[0]})
        if not splits:
            continue
        here = [row for row in of_two if row.task == task.name and row.split in splits]
        dense = {row.split: mean(row.test) / row.test_rows
                 for row in mine if row.method == "dense"}  # fmt: skip
        most = max(task.budgets)
        places = by_place([*(row for row in here if row.keep == most), *mine])
        for keep in sorted({keep for _, _, keep in places}):
            at = [
                {split: chosen_at(there, level) for (_, split, k), there in places.items()
                 if k == keep}
                for level in LEVELS
            ]  # fmt: skip
            cells = [below(chosen, dense, some) for chosen in at for some in (NINE, EARLY)]
            cells += [below(at[1], dense, (FITTING,)), above(at[1])]
            lines.append([f"{task.name} ({median(dense.values()):.1%})", str(len(splits)),
                          str(keep), *cells])  # fmt: skip
    header = ("task (dense)", "splits", "weights", "best of the nine, 1", "GMP until 0.15, 1",
              "best of the nine, 32", "GMP until 0.15, 32", "regrowth, 32",
              "regrowth, above the nine")  # fmt: skip
    return markdown(header, lines)


def below(
    chosen: dict[int, dict[str, Chosen]], dense: dict[int, float], methods: Sequence[str]
) -> str:
    """The median over splits of the best of some methods less the dense networks of the split."""
    found = {split: best_of(there, methods) for split, there in chosen.items()}
    if not all(found.values()):
        return ""
    return f"{100 * median(f.test - dense[split] for split, f in found.items() if f):+.1f}"


def above(chosen: dict[int, dict[str, Chosen]]) -> str:
    """Regrowth less the best of the nine: the median over splits and its interval."""
    values = [
        there[FITTING].test - best.test
        for there in chosen.values()
        if FITTING in there and (best := best_of(there, NINE)) is not None
    ]
    if len(values) < len(chosen):
        return ""
    return points(values)


def tables(of_two: Path, more: Path = RESULTS) -> dict[str, Callable[[], str]]:
    """The table by its name; none where there are no results."""
    if not more.exists():
        return {}
    return {"larger": partial(table, read_rows(of_two), read_rows(more))}
