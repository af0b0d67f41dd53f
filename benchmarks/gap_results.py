"""The runs of the gap study, read once, and those of one method or width among them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from prunelimits.experiments import PAPER_METHODS, RunResult, Size, read_table, smallest

METHODS = tuple(type(pruner).__name__ for pruner in PAPER_METHODS)
TARGETS = (0.95, 0.995)
Results = list[RunResult]


@cache
def read(folder: Path, name: str) -> Results:
    """The runs of one table; none where it is missing."""
    path = folder / f"{name}.csv"
    return read_table(path)[0] if path.exists() else []


def of_methods(results: Results) -> dict[str, Results]:
    """The results of each method that has any, in the paper's order."""
    own: dict[str, Results] = {name: [] for name in METHODS}
    for result in results:
        own.setdefault(result.run.method, []).append(result)
    return {name: runs for name, runs in own.items() if runs}


def at_width(results: Results, width: int) -> Results:
    """Those pruned from one width."""
    return [result for result in results if result.run.width == width]


def widths(results: Results) -> list[int]:
    """The widths that have any, narrow ones first."""
    return sorted({result.run.width for result in results})


def smallest_at(
    results: Iterable[RunResult], target: float, size: Size = "nonzeros"
) -> RunResult | None:
    """The smallest network at a target, by `smallest`, which checks all runs that it is given."""
    return smallest([result for result in results if result.accuracy >= target], target, size)
