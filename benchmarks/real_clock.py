"""What the study's measure of cost leaves out: seconds, and what still more starts would give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, median

from page_tables import markdown
from real_choices import FITTING, RANKS, Place, chances_to_be_best, chosen_at
from real_methods import BEST, LONG, MANY, gmp_name
from real_rows import Row
from real_tasks import TASKS

Places = Mapping[Place, dict[str, list[Row]]]
STARTS = (1, 2, 4, 8, 16, MANY)


def clock(places: Places) -> str:
    """Seconds of thirty-two runs of LTH and of a regrowth that they pay for, medians.

    A training's seconds are those of all its starts and budgets, of which a run has its share.
    """
    lth: list[list[float]] = [[] for _ in RANKS]
    regrown: list[list[float]] = [[] for _ in RANKS]
    for (task, _, keep), there in places.items():
        fitting = chosen_at(there, MANY).get(FITTING)
        if fitting is None:
            continue
        budgets = _budgets(task)
        (short,) = (row for row in there["LTH"] if row.times == 1)
        rank = budgets.index(keep)
        lth[rank].append(MANY * short.seconds / (len(short.test) * len(budgets)))
        regrown[rank].append(there[fitting.method][0].seconds)
    rows = [
        ["32 runs of LTH", *(f"{median(values):.1f} s" for values in lth)],
        ["Regrowth that fits", *(f"{median(values):.0f} s" for values in regrown)],
        [
            "times as long",
            *(
                f"{median(r / s for r, s in zip(mine, theirs, strict=True)):.0f}"
                for mine, theirs in zip(regrown, lth, strict=True)
            ),
        ],
    ]
    return markdown(("", *RANKS), rows)


def more_starts(places: Places) -> str:
    """Mean test accuracy over tasks and splits of the best of ever more starts."""
    rows: list[list[str]] = []
    for method, times in (("LTH", 1), (gmp_name(BEST), LONG)):
        for rank, name in enumerate(RANKS):
            mine = [
                row
                for (task, _, keep), there in places.items()
                if _budgets(task).index(keep) == rank
                for row in there.get(method, [])
                if row.times == times
            ]
            rows.append([method, name, *(f"{mean(_best(mine, n)):.1%}" for n in STARTS)])
    for rank, name in enumerate(RANKS):
        tests = [
            chosen[FITTING].test
            for (task, _, keep), there in places.items()
            if _budgets(task).index(keep) == rank and FITTING in (chosen := chosen_at(there, MANY))
        ]
        rows.append([f"{FITTING}, one run", name, f"{mean(tests):.1%}", *[""] * (len(STARTS) - 1)])
    return markdown(("", "weights", *(f"{n}" for n in STARTS)), rows, left=2)


def _best(rows: Sequence[Row], starts: int) -> list[float]:
    """Of each place the expected test accuracy of the start that the choosing rows pick."""
    found: list[float] = []
    for row in rows:
        chances = chances_to_be_best(row.choose, starts)
        right = sum(chance * value for chance, value in zip(chances, row.test, strict=True))
        found.append(right / row.test_rows)
    return found


def _budgets(task: str) -> list[int]:
    return next(sorted(t.budgets) for t in TASKS if t.name == task)
