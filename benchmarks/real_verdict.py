"""Is one method the best on real tasks: its medians beside those of the nine, task by task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from page_tables import interval, markdown
from real_choices import FITTING, NINE, RANKS, Chosen, Place, chosen_at
from real_rows import Row

Choices = Mapping[Place, Mapping[str, Chosen]]
ALIKE = 0.01
"""Where medians are no further apart, there is no best."""


def choices(places: Mapping[Place, dict[str, list[Row]]], level: float) -> Choices:
    """What every method comes to at a cost, at the places that all nine have been to."""
    return {
        place: chosen_at(there, level) for place, there in places.items() if set(NINE) <= set(there)
    }


def sparsest_within_error(
    choices: Choices, places: Mapping[Place, dict[str, list[Row]]]
) -> Choices:
    """Of each method the network of the fewest weights that is as good, as far as can be told.

    The one-standard-error rule: of the budgets up to a place's own, the smallest whose accuracy on
    the rows to choose by is no more than `sqrt(p (1 - p) / n)` below the best of them, `p`. No
    other rows have a say. Breiman, Friedman, Olshen and Stone, 1984, Section 3.4.3.
    """
    found: dict[Place, dict[str, Chosen]] = {}
    for task, split, keep in choices:
        smaller = sorted(k for t, s, k in choices if (t, s) == (task, split) and k <= keep)
        rows = next(iter(places[task, split, keep].values()))[0].choose_rows
        here: dict[str, list[Chosen]] = {}
        for k in smaller:
            for name, chosen in choices[task, split, k].items():
                here.setdefault(name, []).append(chosen)
        found[task, split, keep] = {name: _sparsest(some, rows) for name, some in here.items()}
    return found


def _sparsest(by_budget: Sequence[Chosen], rows: int) -> Chosen:
    best = max(one.choose for one in by_budget)
    error = math.sqrt(best * (1 - best) / rows)
    return next(one for one in by_budget if one.choose >= best - error)


def verdict(choices: Choices, tasks: Sequence[str], method: str = FITTING) -> str:
    """Where a method has the highest median of the test rows, beside each of the nine by itself.

    Of the budgets at which the medians of the nine and of the method differ by more than a point;
    where there are six splits or more, with an interval of the paired difference. On the splits
    that the method is paid for, which have to be half of them.
    """
    lines: list[list[str]] = []
    for task in tasks:
        beside: list[str] = []
        above: list[float] = []
        absent = 0
        for keep in sorted({keep for name, _, keep in choices if name == task}):
            every = [there for (name, _, k), there in choices.items() if (name, k) == (task, keep)]
            here = [there for there in every if method in there]
            if 2 * len(here) < len(every):
                beside.append("")
                absent += 1
                continue
            medians = {
                name: median(c[name].test for c in here if name in c)
                for name in (*NINE, method)
                if any(name in c for c in here)
            }
            if max(medians.values()) - min(medians.values()) <= ALIKE:
                beside.append("alike")
            else:
                mine = medians.pop(method)
                best = max(medians, key=lambda name: medians[name])
                above.append(mine - medians[best])
                paired = [c[method].test - c[best].test for c in here if best in c]
                told = [best, interval(paired)]
                told += [f"{len(here)} of {len(every)} splits"] if len(here) < len(every) else []
                beside.append(f"{100 * above[-1]:+.1f} ({'; '.join(filter(None, told))})")
        won = sum(value > 0 for value in above)
        lines.append([task, *beside, f"{won} of {len(above) + absent}"])
    return markdown(("task", *RANKS, "highest at"), lines)
