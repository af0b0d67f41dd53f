"""The gap study's sizes at equal effort: what nine starts find, as in the published study.

A published study trains one network for each budget and recipe: nine starts at each budget. Where
there are more, the numbers here are those of nine of them, over all choices of nine. Budgets share
a start, so a start counts once, with the smallest size that it reaches at any budget.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from gap_results import METHODS, TARGETS, smallest_at
from numpy.typing import NDArray
from page_tables import markdown

from prunelimits.experiments import (
    PAPER_SMALLEST,
    RunResult,
    Size,
    bootstrap_interval,
    chance_of_any,
    typical_smallest,
    upper_limit,
)

Results = Sequence[RunResult]
STARTS = 9
"""Starts of a published study: one for each recipe."""
RESAMPLES = 2000
RUNS = 207
"""Runs of a published study of one method and width: 23 budgets, nine recipes."""


def starts(results: Results) -> dict[tuple[int, int], list[RunResult]]:
    """The runs from each start: methods and budgets share them, recipes and repeats do not."""
    own: dict[tuple[int, int], list[RunResult]] = defaultdict(list)
    for result in results:
        own[result.run.recipe, result.run.repeat].append(result)
    return own


def sizes(results: Results, target: float, size: Size = "nonzeros") -> list[int | None]:
    """The smallest size at the target from each start, None where there is none."""
    found = [smallest_at(own, target, size) for own in starts(results).values()]
    return [None if result is None else getattr(result, size) for result in found]


def of_nine(results: Results, target: float, size: Size = "nonzeros") -> str:
    """The median size that nine starts reach, with its interval where there are several nines."""
    reached = [math.inf if found is None else found for found in sizes(results, target, size)]
    if len(reached) < STARTS:
        return ""
    place = median_place(len(reached))

    def typical(values: Sequence[float]) -> float:
        return sorted(values)[place]

    text = shown(typical(reached))
    if len(reached) < 3 * STARTS or min(reached) == math.inf:
        return text
    low, high = bootstrap_interval(reached, typical)
    return f"{text} ({shown(low)} to {shown(high)})"


def median_place(count: int) -> int:
    """Where in the order of so many sizes the median of the smallest of nine of them stands.

    It is the same place whatever the sizes are.
    """
    place = typical_smallest(range(count), STARTS)
    assert place is not None
    return place


def shown(size: float) -> str:
    """A size, or a dash for none."""
    return "-" if size == math.inf else f"{size:.0f}"


def reach(results: Results, target: float) -> str:
    """How often nine starts reach the target at all; at most how often, where none has."""
    reached = sizes(results, target)
    hits = sum(size is not None for size in reached)
    if len(reached) < STARTS:
        return ""
    if hits:
        return f"{chance_of_any(hits, len(reached), STARTS):.0%}"
    return f"at most {1 - (1 - upper_limit(0, len(reached))) ** STARTS:.0%}"


def best(results: Results, target: float) -> str:
    """The smallest network of all runs, with its accuracy."""
    found = smallest_at(results, target)
    return "-" if found is None else f"{found.nonzeros} ({found.accuracy:.2%})"


def at_width(by_method: Mapping[str, Results]) -> str:
    """Method by method: what nine starts reach, what all reach, and the paper's."""
    most = max((len(starts(own)) for own in by_method.values()), default=0)
    header = ["method"]
    for target in TARGETS:
        # The paper's are bests of nine, so they stand beside those.
        header += [f"{100 * target:g} %", f"paper, best of {STARTS}", "reached", f"best of {most}"]
    lines: list[list[str]] = []
    for name, own in by_method.items():
        line = [name]
        for target, paper in zip(TARGETS, PAPER_SMALLEST.get(name, (None, None)), strict=True):
            line += [of_nine(own, target), "-" if paper is None else str(paper)]
            line += [reach(own, target), best(own, target)]
        lines.append(line)
    return markdown(header, lines)


def repeats(by_method: Mapping[str, Results]) -> str:
    """Method by repeat: the smallest networks at both targets of studies of nine starts each."""
    numbers = sorted({result.run.repeat for own in by_method.values() for result in own})
    lines: list[list[str]] = []
    for name, own in by_method.items():
        line = [name]
        for repeat in numbers:
            part = [result for result in own if result.run.repeat == repeat]
            found = [smallest_at(part, target) for target in TARGETS]
            line.append(" / ".join("-" if r is None else str(r.nonzeros) for r in found))
        lines.append(line)
    return markdown(("method", *(f"study {number + 1}" for number in numbers)), lines)


def by_method_and_width(results: Results) -> dict[str, dict[int, list[RunResult]]]:
    """The runs of each method and width that has several nines, narrow widths first.

    A study of its own is no median of nines: it stands among those of all widths.
    """
    cells: dict[str, dict[int, list[RunResult]]] = {name: defaultdict(list) for name in METHODS}
    for result in sorted(results, key=lambda result: result.run.width):
        cells.setdefault(result.run.method, defaultdict(list))[result.run.width].append(result)
    return {
        name: {width: part for width, part in own.items() if len(starts(part)) >= 3 * STARTS}
        for name, own in cells.items()
    }


def by_width(results: Results) -> str:
    """Method by width: what nine starts reach at both targets, for widths with several nines."""
    cells = by_method_and_width(results)
    repeated = sorted({width for own in cells.values() for width in own})
    lines: list[list[str]] = []
    for name, own in cells.items():
        line = [name]
        for width in repeated:
            part = own.get(width, [])
            texts = [f"{of_nine(part, target)}, {reach(part, target)}" for target in TARGETS]
            line += texts if part else ["", ""]
        lines += [line] if any(line[1:]) else []
    header = ["method"]
    for width in repeated:
        header += [f"{width}, {100 * target:g} %" for target in TARGETS]
    return markdown(header, lines)


def between_widths(results: Results) -> str:
    """How sure it is that nine starts end smaller from the narrower of two widths with nines.

    The share of pairs of resamples of both widths' starts in which they do, half of those in which
    they end level; a blank where neither ever reaches the target.
    """
    cells = by_method_and_width(results)
    repeated = sorted({width for own in cells.values() for width in own})
    pairs = list(pairwise(repeated))
    lines: list[list[str]] = []
    for name, own in cells.items():
        line = [name]
        for narrow, wide in pairs:
            both = own.get(narrow, []), own.get(wide, [])
            line += [narrower(*both, target) if all(both) else "" for target in TARGETS]
        lines += [line] if any(line[1:]) else []
    header = [f"{a} before {b}, {100 * t:g} %" for a, b in pairs for t in TARGETS]
    return markdown(("method", *header), lines)


def narrower(narrow: Results, wide: Results, target: float) -> str:
    """The share of pairs of resamples in which the first ends smaller, half of the level ones."""
    found: list[NDArray[np.float64]] = []
    for number, part in enumerate((narrow, wide)):
        own = np.array([math.inf if size is None else size for size in sizes(part, target)])
        chosen = np.random.default_rng(number).integers(len(own), size=(RESAMPLES, len(own)))
        found.append(np.sort(own[chosen], axis=1)[:, median_place(len(own))])
    if np.isinf(found[0]).all() and np.isinf(found[1]).all():
        return ""
    return f"{(found[0] < found[1]).mean() + (found[0] == found[1]).mean() / 2:.1%}"


def at_most(results: Results, target: float, size: int) -> str:
    """The 95 % limit of the chance that a published study has so small a network at the target.

    From how many of the runs with at most so many nonzeros reach it; a published study makes as
    large a share of its runs with so few. Runs that share a start are taken for independent.
    """
    small = [result for result in results if result.nonzeros <= size]
    if not small:
        return ""
    hits = sum(result.accuracy >= target for result in small)
    made = RUNS * len(small) / len(results)
    return f"{1 - (1 - upper_limit(hits, len(small))) ** made:.0%}"
