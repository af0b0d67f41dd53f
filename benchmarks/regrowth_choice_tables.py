"""The table of other ways to regrow, from what regrowth_choices.py keeps; for gap_tables.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median

from page_tables import markdown, points
from real_choices import by_place, unit_cost
from real_rows import Row, read_rows
from regrowth_choices import AS_IT_IS, IDEAS


def whole_splits(rows: Sequence[Row]) -> list[int]:
    """The splits that every idea has come to the end of."""
    found: dict[int, set[tuple[str, int, str]]] = defaultdict(set)
    for row in rows:
        found[row.split].add((row.task, row.keep, row.method))
    most = max(map(len, found.values()), default=0)
    return sorted(split for split, there in found.items() if len(there) == most)


def ideas(rows: Sequence[Row], study: Sequence[Row]) -> str:
    """Accuracy by the rows to choose by and to test, and the cost beside the study's LTH.

    Beside the method as it is: the median over splits and places, with its interval.
    """
    splits = whole_splits(rows)
    here = {(r.method, r.split, r.task, r.keep): r for r in rows if r.split in splits}
    units = {place: unit_cost(methods) for place, methods in by_place(study).items()}
    lines: list[list[str]] = []
    for name in IDEAS:
        own = [row for row in here.values() if row.method == name]
        if not own:
            continue
        more: tuple[list[float], list[float]] = ([], [])
        costs: list[float] = []
        for row in own:
            other = here[AS_IT_IS, row.split, row.task, row.keep]
            more[0].append(_choose(row) - _choose(other))
            more[1].append(_test(row) - _test(other))
            unit = units.get((row.task, row.split, row.keep))
            if unit is not None:
                costs.append(row.cost / unit)
        beside = ["" if name == AS_IT_IS else points(some) for some in more]
        lines.append(
            [
                name,
                f"{mean(map(_choose, own)):.1%}",
                beside[0],
                f"{mean(map(_test, own)):.1%}",
                beside[1],
                f"{median(costs):.0f}",
            ]
        )
    header = (f"{len(splits)} splits", "rows to choose by", "beside as it is", "test")
    return markdown((*header, "beside as it is", "runs of LTH"), lines)


def tables(folder: Path) -> dict[str, Callable[[], str]]:
    """The table by its name, from the results in a folder."""
    return {
        "regrowth-choices": lambda: ideas(
            read_rows(folder / "regrowth-choices.csv"), read_rows(folder / "real-tasks.csv")
        )
    }


def _choose(row: Row) -> float:
    return row.choose[0] / row.choose_rows


def _test(row: Row) -> float:
    return row.test[0] / row.test_rows
