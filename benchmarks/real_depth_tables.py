"""The tables of depth in docs/real-tasks.md; real_tables.py writes them there.

Of networks with one, three and four hidden layers, docs/results/real-depth.csv, beside the same
tasks, splits and methods with two, docs/results/real-tasks.csv.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

from page_tables import markdown, points
from real_choices import NINE, Chosen, Place, best_of, by_place, chosen_at
from real_methods import BEST, gmp_name
from real_rows import Row, read_rows
from real_tasks import TASKS, RealTask

RESULTS = Path(__file__).parent.parent / "docs" / "results" / "real-depth.csv"
DEPTHS = (1, 2, 3, 4)
RANKS = ("fewest", "second", "third", "most")
_BEST = "best of the nine"
OURS = {"GMP, done earlier": gmp_name(BEST), "Regrowth": "Regrowth"}


class Deep(NamedTuple):
    """Rows by depth, those of two hidden layers from the other study.

    Attributes:
        tasks: That have rows at another depth.
        splits: That have rows of every method at every depth, by task.
        rows: By task and depth, of these splits.
    """

    tasks: list[RealTask]
    splits: dict[str, list[int]]
    rows: dict[tuple[str, int], list[Row]]

    def places(self, task: str, depth: int) -> dict[Place, dict[str, list[Row]]]:
        """The joined rows of a task at a depth, by split and budget, then method."""
        return by_place(self.rows[task, depth])


def deep(of_two: Sequence[Row], others: Sequence[Row]) -> Deep:
    """The splits that are whole at every depth."""
    known = {task.of_depth(d).name: (task.name, d) for task in TASKS for d in DEPTHS if d != 2}
    placed = [(*known[row.task], row) for row in others]
    names = {name for name, _, _ in placed}
    placed += [(row.task, 2, row) for row in of_two if row.task in names]
    found: dict[tuple[str, int, int], set[tuple[str, int, int]]] = defaultdict(set)
    for name, depth, row in placed:
        found[name, depth, row.split].add((row.method, row.times, row.first))
    wanted: set[tuple[str, int, int]] = set()
    for (_, depth, _), methods in found.items():
        wanted |= methods if depth != 2 else set()
    splits = {
        name: [
            split
            for split in sorted({s for n, _, s in found if n == name})
            if all(wanted <= found.get((name, depth, split), set()) for depth in DEPTHS)
        ]
        for name in names
    }
    rows: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for name, depth, row in placed:
        if row.split in splits[name]:
            rows[name, depth].append(row)
    return Deep([task for task in TASKS if splits.get(task.name)], splits, rows)


def dense_table(found: Deep) -> str:
    """Hidden widths, and the dense networks' accuracy on the test rows by depth."""
    lines: list[list[str]] = []
    for task in found.tasks:
        cells: list[str] = []
        for depth in DEPTHS:
            dense = [row for row in found.rows[task.name, depth] if row.method == "dense"]
            accuracy = median(mean(row.test) / row.test_rows for row in dense)
            cells.append(f"{accuracy:.1%} ({dense[0].keep:,})")
        lines.append([task.name, str(len(found.splits[task.name])), *cells])
    return markdown(("task", "splits", *map(str, DEPTHS)), lines)


def accuracies(found: Deep, level: float) -> str:
    """Test accuracy at a cost: the best of the nine, GMP that is done earlier, regrowth."""
    lines: list[list[str]] = []
    for task in found.tasks:
        for keep in task.budgets:
            cells = [_three(found.places(task.name, depth), keep, level) for depth in DEPTHS]
            lines.append([task.name, str(keep), *cells])
    return markdown(("task", "weights", *map(str, DEPTHS)), lines)


def _three(places: dict[Place, dict[str, list[Row]]], keep: int, level: float) -> str:
    values: dict[str, list[float]] = defaultdict(list)
    for (_, _, k), there in places.items():
        if k == keep:
            chosen = chosen_at(there, level)
            for name, some in (("nine", NINE), *((n, (m,)) for n, m in OURS.items())):
                best = best_of(chosen, some)
                if best is not None:
                    values[name].append(best.test)
    return " / ".join(
        f"{100 * median(values[name]):.1f}" if values[name] else "-" for name in ("nine", *OURS)
    )


def chosen_by_depth(found: Deep, level: float) -> dict[Place, dict[int, dict[str, Chosen]]]:
    """What every method comes to at a cost, by place and depth; the best of the nine is one."""
    result: dict[Place, dict[int, dict[str, Chosen]]] = defaultdict(dict)
    for task, depth in product(found.tasks, DEPTHS):
        for (_, split, keep), there in found.places(task.name, depth).items():
            chosen = chosen_at(there, level)
            ours = {name: chosen[method] for name, method in OURS.items() if method in chosen}
            best = best_of(chosen, NINE)
            result[task.name, split, keep][depth] = ours if best is None else ours | {_BEST: best}
    return result


def above(found: Deep, level: float) -> str:
    """Points above the best of the nine, by depth: the median over tasks and splits.

    Of each split the median over its budgets, as these are not independent of each other, and of
    these the ones that the method is paid for at every depth.
    """
    everywhere = chosen_by_depth(found, level)
    lines: list[list[str]] = []
    for name in OURS:
        by_split: dict[tuple[str, int], list[list[float]]] = defaultdict(list)
        for (task, split, _), there in everywhere.items():
            if all({name, _BEST} <= set(there[depth]) for depth in DEPTHS):
                here = [there[d][name].test - there[d][_BEST].test for d in DEPTHS]
                by_split[task, split].append(here)
        if by_split:
            medians = [[median(values) for values in zip(*budgets, strict=True)]
                       for budgets in by_split.values()]  # fmt: skip
            lines.append(
                [name, *(points(values, count=True) for values in zip(*medians, strict=True))]
            )
    return markdown(("", *map(str, DEPTHS)), lines)


def beside_two(found: Deep, level: float) -> str:
    """Points above the same with two hidden layers, by rank of budget: medians over splits."""
    budgets = {task.name: sorted(task.budgets) for task in found.tasks}
    everywhere = chosen_by_depth(found, level)
    lines: list[list[str]] = []
    for name, (rank, words) in product((_BEST, *OURS), enumerate(RANKS)):
        cells: list[str] = []
        for depth in (1, 3, 4):
            values = [
                there[depth][name].test - there[2][name].test
                for (task, _, keep), there in everywhere.items()
                if budgets[task].index(keep) == rank and name in there[depth] and name in there[2]
            ]
            cells.append(points(values, count=True))
        if any(cells):
            lines.append([name, words, *cells])
    return markdown(("", "weights", "1", "3", "4"), lines, left=2)


def tables(of_two: Path, others: Path = RESULTS) -> dict[str, Callable[[], str]]:
    """Every table by name; none where there are no networks of other depths."""
    if not others.exists():
        return {}
    found = deep(read_rows(of_two), read_rows(others))
    return {"depth-dense": partial(dense_table, found)} | {
        f"{name}-{level}": partial(table, found, level)
        for name, table in (
            ("depth-accuracies", accuracies),
            ("depth-above", above),
            ("depth-beside-two", beside_two),
        )
        for level in (1, 32)
    }
