"""Sentences about other depths on the page of real tasks say what the file holds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from statistics import median

import real_depth_tables as tables
from real_choices import Chosen, Place
from real_rows import read_rows
from real_tables import RESULTS
from real_tasks import TASKS

from prunelimits.experiments import median_interval
from tests.experiments.kept_numbers import check, page, rows

BUDGETS = {task.name: sorted(task.budgets) for task in TASKS}
NINE, GROWN = "best of the nine", "Regrowth"


@cache
def chosen(level: int) -> dict[Place, dict[int, dict[str, Chosen]]]:
    found = tables.deep(read_rows(RESULTS), read_rows(tables.RESULTS))
    return tables.chosen_by_depth(found, level)


def beside_two(name: str, rank: int, depth: int, level: int = 32) -> str:
    """Points more than with two hidden layers: the median without its sign, and the interval."""
    values = [
        there[depth][name].test - there[2][name].test
        for (task, _, keep), there in chosen(level).items()
        if BUDGETS[task].index(keep) == rank and name in there[depth] and name in there[2]
    ]
    between = median_interval(values)
    assert between is not None
    low, high = (100 * value for value in between)
    return f"{abs(100 * median(values)):.1f} ({low:.1f} to {high:.1f})"


def gains() -> dict[tuple[str, int], float]:
    """By split: what regrowth is above the nine with four hidden layers, less that with one."""
    by_split: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for (task, split, _), there in chosen(32).items():
        if all({NINE, GROWN} <= set(there[depth]) for depth in tables.DEPTHS):
            one, four = (there[depth][GROWN].test - there[depth][NINE].test for depth in (1, 4))
            by_split.setdefault((task, split), []).append((one, four))
    return {
        place: median(four for _, four in both) - median(one for one, _ in both)
        for place, both in by_split.items()
    }


def sentences() -> Iterator[str]:
    yield (
        f"the best of the nine is {beside_two(NINE, 0, 3)} points behind itself with three hidden "
        f"layers instead of two and {beside_two(NINE, 0, 4)} with four, regrowth "
        f"{beside_two(GROWN, 0, 3)} and {beside_two(GROWN, 0, 4)}"
    )
    yield (
        f"At twice the fewest weights the best of the nine is {beside_two(NINE, 1, 3)} and "
        f"{beside_two(NINE, 1, 4)} points behind"
    )
    first, second = (beside_two(NINE, rank, 1, 1) for rank in (0, 1))
    yield (
        f"At the cost of one run of LTH the best of the nine has {first} points more at the fewest "
        f"weights and {second} at twice as many"
    )
    yield (
        f"At that of thirty-two it has {beside_two(NINE, 0, 1)} and {beside_two(NINE, 1, 1)}, "
        f"regrowth {beside_two(GROWN, 0, 1)} and {beside_two(GROWN, 1, 1)}"
    )
    found = gains()
    more, less = (sum(sign * gain > 0 for gain in found.values()) for sign in (1, -1))
    between = median_interval(list(found.values()))
    assert between is not None
    yield (
        f"in {more} of {len(found)} splits, and less in {less}; the median of the difference is "
        f"{100 * median(found.values()):.1f} points "
        f"({100 * between[0]:.1f} to {100 * between[1]:.1f})"
    )
    medians = {
        name: median(gain for (task, _), gain in found.items() if task == name)
        for name in dict.fromkeys(task for task, _ in found)
    }
    order = sorted(medians, key=lambda name: -medians[name])
    yield ", ".join(f"{name} {round(100 * medians[name], 1) + 0.0:.1f}" for name in order)
    # In the introduction.
    yield (
        f"with four the best of the nine is {beside_two(NINE, 0, 4)} points behind itself with "
        f"two, regrowth {beside_two(GROWN, 0, 4)}"
    )


def test_a_sentence_about_depth_says_what_the_file_holds():
    for sentence in sentences():
        assert sentence in page("real-tasks.md"), sentence


def test_the_sentences_about_two_layers_on_the_page_of_depth_say_what_the_files_hold():
    every, again = rows("exhausted-two-layers"), rows("exhausted-two-layers-again")
    smaller = [
        max(float(r["trained"]), float(r["evolved"])) for r in every if int(r["nonzeros"]) < 24
    ]
    found = [r for r in every if float(r["evolved"]) >= 0.95]
    assert [(r["widths"], r["nonzeros"]) for r in found] == [("2 3 3 1", "24")]
    times = sum(float(r["evolved"]) >= 0.95 for r in again)
    check(
        "depth.md",
        (
            f"at most 24 nonzeros, {len(every):,} of them",
            f"None of the {len(smaller):,} smaller ones gets past {100 * max(smaller):.2f} %",
            f"the one is found again in {times} of {len(again)} attempts",
        ),
    )
