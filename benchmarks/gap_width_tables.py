"""The tables of the gap study that tell how the runs of one width and method are spread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import prod
from statistics import median

import effort_tables
from effort_tables import starts
from gap_results import METHODS, TARGETS, Results, at_width, of_methods, smallest_at
from page_tables import markdown

from prunelimits.experiments import PAPER_SMALLEST, Size, median_interval, summarise


def typical(results: Results) -> str:
    """The median of the starts with its interval.

    Runs of one start are alike whatever their budget, so a start counts once: by the median of its
    accuracies.
    """
    values = [median(result.accuracy for result in own) for own in starts(results).values()]
    interval = median_interval(values)
    shown = f"{median(values):.1%}"
    return shown if interval is None else f"{shown} ({interval[0]:.1%} to {interval[1]:.1%})"


def one_width(results: Results, width: int) -> str:
    """Method by method, sizes without what does not count, and how the runs are spread."""
    header = (
        "method", "effective", "trimmed", "runs at 95 %", "best",
        "median start (95 % interval)", "connected", "left by trimming",
    )  # fmt: skip
    rows: list[list[str]] = []
    for name, own in of_methods(at_width(results, width)).items():
        best = [summary.best for summary in summarise(own)]
        sizes: tuple[Size, ...] = ("effective", "trimmed")
        typical_sizes = [[effort_tables.of_nine(own, t, size) for t in TARGETS] for size in sizes]
        rows.append(
            [
                name,
                *(" / ".join(pair) for pair in typical_sizes),
                f"{sum(result.accuracy >= TARGETS[0] for result in own)} of {len(own)}",
                f"{max(result.accuracy for result in own):.2%}",
                typical(own),
                f"{median(r.effective / r.nonzeros for r in own):.0%}",
                f"{sum(r.trimmed for r in best) / sum(r.nonzeros for r in best):.0%}",
            ]
        )
    return markdown(header, rows)


def reaching(results: Results, target: float, size: int) -> str:
    """The chance that a study of one run for each budget and recipe has so small a network.

    Each run with a start of its own, as published: the runs of one budget and recipe that were
    trained here tell how often it reaches the target with at most so many nonzeros. Where there
    are fewer than five they say nothing and are left out.
    """
    cells: dict[tuple[int, int], list[bool]] = defaultdict(list)
    for result in results:
        cells[result.run.keep, result.run.recipe].append(
            result.accuracy >= target and result.nonzeros <= size
        )
    shares = [sum(hits) / len(hits) for hits in cells.values() if len(hits) >= 5]
    if not shares:
        return ""
    # No run did, which does not make the chance zero.
    return f"{1 - prod(1 - share for share in shares):.0%}" if any(shares) else "none seen"


def luck(studies: Mapping[str, Results]) -> str:
    """The sizes that the paper names, and how likely they are here."""
    header = (
        "method", "target", "paper", "ours", "runs there", "starts there", "chance", "at most",
    )  # fmt: skip
    rows: list[list[str]] = []
    for name, papers in PAPER_SMALLEST.items():
        own = studies.get(name, [])
        for target, paper in zip(TARGETS, papers, strict=True):
            if paper is None or not own:
                continue
            found = smallest_at(own, target)
            there = [result for result in own if result.accuracy >= target]
            rows.append(
                [
                    name,
                    f"{100 * target:g} %",
                    str(paper),
                    "-" if found is None else str(found.nonzeros),
                    f"{len(there)} of {len(own)}",
                    f"{len(starts(there))} of {len(starts(own))}",
                    reaching(own, target, paper),
                    effort_tables.at_most(own, target, paper),
                ]
            )
    return markdown(header, rows)


def disconnected(results: Results, shown: Sequence[int]) -> str:
    """How much of what each method keeps is on no path, and how often nothing is on one."""
    shown = [width for width in shown if at_width(results, width)]
    by_width = [of_methods(at_width(results, width)) for width in shown]
    header = ["method"]
    for width in shown:
        header += [f"width {width}", "no path"]
    rows: list[list[str]] = []
    for name in METHODS:
        row = [name]
        for own in by_width:
            runs = own.get(name, [])
            row += (
                [
                    f"{median(1 - r.effective / r.nonzeros for r in runs):.0%}",
                    # What is left of a network without any path is the output's bias.
                    f"{sum(r.effective == 1 for r in runs) / len(runs):.0%}",
                ]
                if runs
                else ["", ""]
            )
        rows.append(row)
    return markdown(header, rows)
