"""The tables of docs/real-tasks.md, from docs/results/real-tasks.csv.

Prints every table as Markdown and writes it into the page. Run it by `python
benchmarks/real_tables.py` whenever the table of results has grown; a test fails while the page does
not say what it holds.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median

import real_clock
import real_convolution_tables
import real_depth_tables
import real_larger_tables
import real_limits
import real_other_tables
import sparsest_known
from page_tables import markdown, points, refreshed
from real_choices import (
    FITTING,
    NINE,
    RANKS,
    Chosen,
    Place,
    best_of,
    by_place,
    chosen_at,
    joined,
)
from real_methods import BEST, LEVELS, UNTIL, gmp_name
from real_rows import Row, read_rows
from real_tasks import TASKS
from real_verdict import choices, sparsest_within_error, verdict

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = DOCS / "results" / "real-tasks.csv"
PAGE = DOCS / "real-tasks.md"
EARLIER = tuple(map(gmp_name, UNTIL))
OURS = {
    "GMP, done earlier": EARLIER,
    "Regrowth": ("Regrowth",),
    FITTING: (FITTING,),
    "Regrowth or GMP": (FITTING, *EARLIER),
    "Elimination of 8": ("Elimination of 8",),
    "Elimination of 8, weights": ("Elimination of 8, weights",),
}
"""What is compared with the nine: methods of which the choosing part picks one, as of the nine.

A group is left out at a cost that its first method exceeds everywhere.
"""
Places = dict[Place, dict[str, list[Row]]]


def names(places: Places) -> list[str]:
    """The tasks that have results, in the study's order."""
    there = {task for task, _, _ in places}
    return [task.name for task in TASKS if task.name in there]


def tasks(rows: Sequence[Row]) -> str:
    """What the tasks are, and the dense networks' accuracy."""
    table: list[list[str]] = []
    dense = [row for row in joined(rows) if row.method == "dense"]
    for task in TASKS:
        mine = [row for row in dense if row.task == task.name]
        if not mine:
            continue
        accuracy = [mean(row.test) / row.test_rows for row in mine if row.times > 1]
        weights = str(mine[0].keep)
        table.append(
            [
                task.name, weights, str(task.epochs), str(task.batch_size),
                str(mine[0].choose_rows), str(_splits(rows, task.name)),
                f"{median(accuracy):.1%}" if accuracy else "",
            ]
        )  # fmt: skip
    header = ("task", "weights", "epochs", "batch", "rows to test", "splits", "dense")
    return markdown(header, table)


def _splits(rows: Sequence[Row], task: str) -> int:
    """How many splits of a task have come as far as GMP by an earlier schedule."""
    return len({row.split for row in rows if (row.task, row.method) == (task, gmp_name(BEST))})


def accuracies(places: Places, task: str, level: float) -> str:
    """Test accuracy of every method on a task at a cost, medians of the splits."""
    budgets = sorted({keep for name, _, keep in places if name == task})
    cells: dict[str, dict[int, list[Chosen]]] = defaultdict(lambda: defaultdict(list))
    for (name, _, keep), methods in places.items():
        if name == task:
            for method, chosen in chosen_at(methods, level).items():
                cells[method][keep].append(chosen)
    order = [*NINE, *map(gmp_name, UNTIL)]
    rows: list[list[str]] = []
    for method in [*order, *sorted(set(cells) - set(order))]:
        if method in cells:
            mine = cells[method]
            starts = sorted({c.starts for chosen in mine.values() for c in chosen})
            rows.append(
                [
                    method,
                    *(f"{median(c.test for c in mine[k]):.1%}" if mine[k] else "" for k in budgets),
                    " to ".join(map(str, sorted({starts[0], starts[-1]}))),
                ]
            )
    return markdown((f"{task}: weights", *map(str, budgets), "starts"), rows)


def every_task(places: Places, level: float) -> str:
    """`accuracies` of all tasks."""
    return "\n\n".join(accuracies(places, task, level) for task in names(places))


def differences(
    places: Places, methods: Sequence[str], level: float, beside: Sequence[str] = NINE
) -> dict[str, dict[int, list[float]]]:
    """How far the best of some methods is above the best of others, by task and rank of budget."""
    result: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    budgets = {task.name: sorted(task.budgets) for task in TASKS}
    for (task, _, keep), there in sorted(places.items()):
        if not set(NINE) <= set(there):
            continue
        chosen = chosen_at(there, level)
        best, mine = best_of(chosen, beside), best_of(chosen, methods)
        if best is not None and mine is not None:
            result[task][budgets[task].index(keep)].append(mine.test - best.test)
    return result


def paired(places: Places, level: float) -> str:
    """How far above the best of nine: medians, over all tasks and splits with an interval."""
    rows: list[list[str]] = []
    for method, some in OURS.items():
        if not any(some[0] in chosen_at(there, level) for there in places.values()):
            continue
        found = differences(places, some, level)
        for task in names(places):
            if task in found:
                medians = (found[task][rank] for rank in range(len(RANKS)))
                cells = [f"{100 * median(own):+.1f}" if own else "" for own in medians]
                rows.append([method, task, *cells])
        if found:
            rows.append([method, "**all**", *of_all_tasks(found)])
    return markdown(("", "task", *RANKS), rows, left=2)


TUNED = ("Vowel", "Vehicle", "digits")
"""The tasks on whose splits 0 and 1 the settings of regrowth were chosen, by the choosing rows."""


def untuned(places: Places, level: float) -> str:
    """How far regrowth is above the others where its settings were chosen, and where not."""
    several = {
        "all eight tasks": places,
        "without splits 0 and 1 of the three": {
            place: there for place, there in places.items() if place[0] not in TUNED or place[1] > 1
        },
        "the five other tasks": {
            place: there for place, there in places.items() if place[0] not in TUNED
        },
    }
    rows: list[list[str]] = []
    for other, beside in (("the best of the nine", NINE), ("GMP, done earlier", EARLIER)):
        for which, some in several.items():
            found = differences(some, OURS[FITTING], level, beside)
            rows.append([other, which, *of_all_tasks(found)])
    return markdown(("above", "on", *RANKS), rows, left=2)


def beside_earlier(places: Places, level: float) -> str:
    """How far regrowth is above GMP that is done earlier: medians over all tasks and splits."""
    rows: list[list[str]] = []
    for method in ("Regrowth", FITTING):
        found = differences(places, OURS[method], level, EARLIER)
        rows.append([method, *of_all_tasks(found)])
    return markdown(("", *RANKS), rows)


def of_all_tasks(found: dict[str, dict[int, list[float]]]) -> list[str]:
    """The differences of all tasks together, by rank of budget."""
    ranks = range(len(RANKS))
    everywhere = ([d for task in found.values() for d in task[rank]] for rank in ranks)
    return [points(values, bold=True) for values in everywhere]


def schedules(places: Places) -> str:
    """GMP by when it is done: eight starts, mean accuracy on the choosing and the test part."""
    methods = {gmp_name(until): str(until) for until in UNTIL}
    methods["GMP"] = "0.995 (published)"
    sums: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    for (task, _, _), found in places.items():
        long = {name: row for name in methods for row in found.get(name, []) if row.times > 1}
        if len(long) < len(methods):
            continue
        for name, row in long.items():
            right = (mean(row.choose[:8]) / row.choose_rows, mean(row.test[:8]) / row.test_rows)
            sums[name, task].append((*right, row.cost / long["GMP"].cost))
    rows: list[list[str]] = []
    for name, until in methods.items():
        every = [value for (n, _), values in sums.items() if n == name for value in values]
        if not every:
            continue
        own = [f"{mean(v[1] for v in sums[name, task]):.1%}" if sums[name, task] else ""
               for task in names(places)]  # fmt: skip
        choose, test, cost = (mean(column) for column in zip(*every, strict=True))
        rows.append([until, f"{choose:.2%}", f"{test:.2%}", *own, f"{cost:.2f}"])
    header = ("last round after", "chosen by", "test", *names(places), "cost")
    return markdown(header, rows)


def counting(places: Places) -> str:
    """What a budget of weights keeps besides: nonzeros and those on a path, medians."""
    rows: list[list[str]] = []
    ours = [name for name, some in OURS.items() if len(some) == 1]
    for method in ("LTH", "GMP", gmp_name(BEST), "SynFlow", *ours):
        cells: list[str] = []
        for rank in range(4):
            shares: list[tuple[float, float]] = []
            for task in TASKS:
                for (name, _, keep), methods in places.items():
                    if name == task.name and sorted(task.budgets).index(keep) == rank:
                        chosen = chosen_at(methods, LEVELS[-1]).get(method)
                        if chosen is not None:
                            shares.append((chosen.nonzeros / keep, chosen.effective / keep))
            if shares:
                kept, on_path = (median(column) for column in zip(*shares, strict=True))
                cells.append(f"{kept:.2f} ({on_path:.2f})")
            else:
                cells.append("")
        if any(cells):
            rows.append([method, *cells])
    return markdown(("", *RANKS), rows)


def tables(results: Path) -> dict[str, Callable[[], str]]:
    """Every table by name."""
    rows = read_rows(results)
    places = by_place(rows)
    limits = [row for row in real_limits.read_rows() if row.task in names(places)]
    return {
        "tasks": lambda: tasks(rows),
        "schedules": lambda: schedules(places),
        "paired-1": lambda: paired(places, LEVELS[0]),
        "paired-32": lambda: paired(places, LEVELS[1]),
        "beside-earlier": lambda: beside_earlier(places, LEVELS[1]),
        "untuned": lambda: untuned(places, LEVELS[1]),
        "clock": lambda: real_clock.clock(places),
        "more-starts": lambda: real_clock.more_starts(places),
        "criterion": lambda: verdict(choices(places, LEVELS[1]), names(places)),
        "criterion-error": lambda: verdict(
            sparsest_within_error(choices(places, LEVELS[1]), places), names(places)
        ),
        "criterion-10": lambda: verdict(choices(places, 10), names(places), "Regrowth"),
        "counting": lambda: counting(places),
        "sparsest-known": lambda: sparsest_known.table(sparsest_known.read_list(), results),
        **{
            f"sparsest-methods-{below}": partial(
                sparsest_known.by_method, sparsest_known.read_list(), below, results
            )
            for below in sparsest_known.BELOW
        },
        "limits": lambda: real_limits.table(limits, sparsest_known.read_list(), results),
        **real_convolution_tables.tables(),
        **real_depth_tables.tables(results),
        **real_larger_tables.tables(results),
        **real_other_tables.tables(results),
        "cost-1": lambda: every_task(places, LEVELS[0]),
        "cost-32": lambda: every_task(places, LEVELS[1]),
    }


def main() -> None:
    """Prints the tables and refreshes the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    arguments = parser.parse_args()
    known = tables(arguments.results)
    for name, table in known.items():
        print(f"\n{name}\n\n{table()}")
    if arguments.page.exists():
        arguments.page.write_text(refreshed(arguments.page.read_text(), known))


if __name__ == "__main__":
    main()
