"""The tables of the smallest networks of the gap study: width by width, and start by start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from gap_results import METHODS, TARGETS, Results, at_width, of_methods, read, smallest_at, widths
from page_tables import markdown

from prunelimits.experiments import RunResult, upper_limit

# Nonzeros of the paper's search from each of its starts, and the target.
PAPER_FROM = {"BENCH-995": (38, 0.995), "BENCH-95": (26, 0.95)}


def best_of(results: Results) -> str:
    """How many runs each budget had: what a smallest network is the best of."""
    runs = Counter(result.run[:3] for result in results).values()
    return " to ".join(map(str, sorted({min(runs), max(runs)}))) if runs else ""


def at_targets(results: Results) -> list[str]:
    """The smallest sizes at 95 % and 99.5 %."""
    found = [smallest_at(results, target) for target in TARGETS]
    return ["-" if result is None else str(result.nonzeros) for result in found]


def compact(columns: Mapping[str, Results]) -> str:
    """Method by column: the smallest networks at 95 % / 99.5 %."""
    by_method = {title: of_methods(results) for title, results in columns.items()}
    names = [name for name in METHODS if any(name in own for own in by_method.values())]
    rows = [
        [name, *(" / ".join(at_targets(o[name])) if name in o else "" for o in by_method.values())]
        for name in names
    ]
    best = ["*any*", *(" / ".join(at_targets(results)) for results in columns.values())]
    counts = ["*best of*", *(f"*{best_of(results)}*" for results in columns.values())]
    return markdown(("method", *columns), [*rows, best, counts])


def by_start(folder: Path, files: Mapping[str, str]) -> dict[str, Results]:
    """The studies from fixed starts, a column for each start and width."""
    return {
        f"{start}, width {width}": at_width(results, width)
        for name, start in files.items()
        for results in [read(folder, name)]
        for width in widths(results)
    }


def bench_runs(columns: Mapping[str, Results]) -> str:
    """Which methods get down to the size of the paper's search from its start, and how often.

    The others have a row together. *At most* is the largest share, of a method's runs of at most
    that size, that so many hits among them leave possible at 95 %.
    """
    header = (
        "start", "method", "target", "smallest", "paper's search", "runs as small", "of", "at most",
    )  # fmt: skip
    lines: list[list[str]] = []
    for title, results in columns.items():
        size, target = PAPER_FROM[title.split(",")[0]]

        def hit(run: RunResult, size: int = size, target: float = target) -> bool:
            return run.nonzeros <= size and run.accuracy >= target

        by_method = of_methods(results)
        as_small = [name for name, own in by_method.items() if any(map(hit, own))]
        others = [run for run in results if run.run.method not in as_small]
        groups = {name: by_method[name] for name in as_small}
        if others:
            groups["*the others*" if as_small else "*all of them*"] = others
        for method, own in groups.items():
            found = smallest_at(own, target)
            hits = sum(map(hit, own))
            small = sum(run.nonzeros <= size for run in own)
            lines.append(
                [
                    title,
                    method,
                    f"{100 * target:g} %",
                    "-" if found is None else f"{found.nonzeros} ({found.accuracy:.2%})",
                    str(size),
                    f"{hits:,}",
                    f"{len(own):,}",
                    f"{upper_limit(hits, small):.2%} of {small:,}" if small else "",
                ]
            )
    return markdown(header, lines, left=3)
