"""What a method comes to on a real task for a given cost: which start is chosen, by which rows.

The choosing part decides everything, the test part tells what was decided.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from real_methods import SHORT, SHORTEST
from real_rows import Row

from prunelimits.experiments import PAPER_METHODS

NINE = tuple(type(pruner).__name__ for pruner in PAPER_METHODS)
FITTING = "Regrowth that fits"
RANKS = ("fewest weights", "second", "third", "most")
"""The budgets of a task, in order."""
Place = tuple[str, int, int]
"""Task, split, budget."""


class Chosen(NamedTuple):
    """What the best of so many starts is on average, the best by the choosing part.

    The mean over all ways to take that many of the starts there are: less a matter of luck than the
    first ones.

    Attributes:
        method: As in the table.
        times: How long it trained, in the task's epochs.
        starts: How many it was chosen from.
        choose: Its accuracy on the choosing part.
        test: On the test part.
        nonzeros: Weights and biases that it keeps.
        effective: Those on a path.
        spent: What so many starts cost.
    """

    method: str
    times: int
    starts: int
    choose: float
    test: float
    nonzeros: float
    effective: float
    spent: float


def joined(rows: Iterable[Row]) -> list[Row]:
    """One row for each method, length and budget of a split, with all its starts in order."""

    def place(row: Row) -> tuple[str, int, str, int, int]:
        return row.task, row.split, row.method, row.times, row.keep

    result: list[Row] = []
    for _, group in groupby(sorted(rows, key=lambda row: (*place(row), row.first)), place):
        parts = list(group)
        starts = [len(part.test) for part in parts]
        result.append(
            parts[0]._replace(
                cost=sum(p.cost * n for p, n in zip(parts, starts, strict=True)) / sum(starts),
                nonzeros=tuple(n for part in parts for n in part.nonzeros),
                effective=tuple(n for part in parts for n in part.effective),
                choose=tuple(n for part in parts for n in part.choose),
                test=tuple(n for part in parts for n in part.test),
            )
        )
    return result


def by_place(rows: Iterable[Row]) -> dict[Place, dict[str, list[Row]]]:
    """The joined rows of every task, split and budget, by method."""
    result: dict[Place, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in joined(rows):
        if row.method != "dense":
            result[row.task, row.split, row.keep][row.method].append(row)
    return result


def at_cost(lengths: Sequence[Row], cost: float) -> Chosen | None:
    """What a cost comes to: the length of training that the choosing part prefers.

    Of each length, the best of as many starts as the cost pays for, or of all there are; of lengths
    that are as good, the cheaper one. None if no start is paid for.
    """
    found: list[Chosen] = []
    for row in lengths:
        starts = min(len(row.test), int(cost / row.cost))
        if starts < 1:
            continue
        chances = chances_to_be_best(row.choose, starts)

        def expected(values: Sequence[int], chances: Sequence[float] = chances) -> float:
            return sum(chance * value for chance, value in zip(chances, values, strict=True))

        found.append(
            Chosen(
                row.method,
                row.times,
                starts,
                expected(row.choose) / row.choose_rows,
                expected(row.test) / row.test_rows,
                expected(row.nonzeros),
                expected(row.effective),
                starts * row.cost,
            )
        )
    return max(found, key=lambda chosen: (chosen.choose, -chosen.spent), default=None)


def chances_to_be_best(values: Sequence[int], n: int) -> list[float]:
    """With which probability each value is the largest of `n` of them drawn without replacement.

    Values that are the same share theirs.
    """
    ways = math.comb(len(values), n)
    shares: dict[int, float] = {}
    for value in set(values):
        below, same = sum(v < value for v in values), sum(v == value for v in values)
        shares[value] = (math.comb(below + same, n) - math.comb(below, n)) / ways / same
    return [shares[value] for value in values]


def unit_cost(methods: dict[str, list[Row]]) -> float | None:
    """What one run of LTH costs at a place: five short trainings; None where it has not run."""
    return next((row.cost for row in methods.get("LTH", []) if row.times == 1), None)


def chosen_at(methods: dict[str, list[Row]], times: float) -> dict[str, Chosen]:
    """What every method comes to for so many times the cost of LTH, with a tenth over.

    Costs differ by the biases that are kept, so a method that costs the same may cost more. Added
    is `FITTING`, the longest regrowth that is paid for: decided by its cost, not by its result.
    """
    unit = unit_cost(methods)
    if unit is None:
        return {}
    found = {name: at_cost(rows, 1.1 * times * unit) for name, rows in methods.items()}
    paid = {name: chosen for name, chosen in found.items() if chosen is not None}
    fitting = next((paid[name] for name in ("Regrowth", SHORT, SHORTEST) if name in paid), None)
    return paid if fitting is None else paid | {FITTING: fitting}


def best_of(chosen: dict[str, Chosen], methods: Iterable[str]) -> Chosen | None:
    """The one of several methods that the choosing part prefers."""
    some = [chosen[name] for name in methods if name in chosen]
    return max(some, key=lambda one: one.choose, default=None)
