"""The tables of the gap study, which the pages of the documentation hold, from its results.

Prints every table as Markdown and writes it into the pages, between `<!-- table: its-name -->` and
`<!-- end -->`. Run it by `python benchmarks/gap_tables.py` whenever a table in docs/results has
grown; a test fails while a page does not say what the tables hold.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from statistics import median

import effort_tables
import elimination_tables
import exhausted_tables
import lower_bound
import search_tables
from effort_tables import starts
from page_tables import markdown, refreshed
from tie_table import ties

from prunelimits.experiments import (
    PAPER_METHODS,
    PAPER_PARAMETER_SAMPLES,
    PAPER_SMALLEST,
    RunResult,
    Size,
    median_interval,
    read_table,
    smallest,
    summarise,
)
from prunelimits.training import MLPEnsemble
from prunelimits.training.cost import training_cost

DOCS = Path(__file__).parent.parent / "docs"
PAGES = tuple(
    DOCS / name
    for name in (
        "gap.md",
        "connectivity.md",
        "results.md",
        "closing-the-gap.md",
        "lower-bound.md",
    )
)
NETWORKS = DOCS.parent / "examples" / "networks"
METHODS = tuple(type(pruner).__name__ for pruner in PAPER_METHODS)
TARGETS = (0.95, 0.995)
STARTS = {"gap-fixed-995": "at-995.pt", "gap-fixed-95": "at-95.pt"}
BENCH = {"gap-bench-995": "BENCH-995", "gap-bench-95": "BENCH-95"}
# Nonzeros of the paper's search from each of its starts, and the target.
PAPER_FROM = {"BENCH-995": (38, 0.995), "BENCH-95": (26, 0.95)}
Results = list[RunResult]


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


def number(value: float, digits: int = 2) -> str:
    """As 1.5e9."""
    return f"{value:.{digits}e}".replace("e+0", "e").replace("e+", "e")


def best_of(results: Results) -> str:
    """How many runs each budget had: what a smallest network is the best of."""
    runs = {summary.runs for summary in summarise(results)}
    return " to ".join(map(str, sorted({min(runs), max(runs)}))) if runs else ""


def at_targets(results: Results, size: Size = "nonzeros") -> list[str]:
    """The smallest sizes at 95 % and 99.5 %."""
    found = [smallest(results, target, size) for target in TARGETS]
    return ["-" if result is None else str(getattr(result, size)) for result in found]


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
    return f"{1 - prod(1 - share for share in shares):.0%}" if shares else ""


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
            found = smallest(own, target)
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


def costs(results: Results) -> str:
    """Table 1."""
    header = ("method", "paper", "ours", "", "operations", "median accuracy", "95 % interval")
    dense = training_cost(MLPEnsemble((2, 16, 16, 16, 1), models=1), 50 * 390, 128)
    samples, paper = float(dense.parameter_samples), PAPER_PARAMETER_SAMPLES["Dense"]
    rows = [["dense", number(paper, 1), number(samples), f"{samples / paper - 1:+.1%}"]]
    rows[0] += [number(float(dense.operations)), "", ""]
    summaries = {s.method: s for s in summarise(at_width(results, 16)) if s.keep == 55}
    for name in METHODS:
        if name not in summaries:
            continue
        own, paper = summaries[name], PAPER_PARAMETER_SAMPLES[name]
        rows.append(
            [
                name,
                number(paper, 1),
                number(own.parameter_samples),
                f"{own.parameter_samples / paper - 1:+.1%}",
                number(own.operations),
                f"{own.accuracy:.2%}",
                "" if own.interval is None else f"{own.interval[0]:.2%} to {own.interval[1]:.2%}",
            ]
        )
    return markdown(header, rows)


def times(path: Path) -> str:
    """Seconds of the processor for each part."""
    seconds: dict[int, dict[str, str]] = defaultdict(dict)
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            seconds[int(row["width"])][row["method"]] = f"{float(row['processor_seconds']):.0f}"
    rows = [
        [str(width), *(own.get(name, "") for name in METHODS)]
        for width, own in sorted(seconds.items())
    ]
    return markdown(("width", *METHODS), rows)


def by_start(folder: Path, files: Mapping[str, str]) -> dict[str, Results]:
    """The studies from fixed starts, a column for each start and width."""
    return {
        f"{start}, width {width}": at_width(results, width)
        for name, start in files.items()
        for results in [read(folder, name)]
        for width in widths(results)
    }


def bench_runs(columns: Mapping[str, Results]) -> str:
    """Which methods get down to the size of the paper's search from its start, and how often."""
    header = ("start", "method", "target", "smallest", "paper's search", "runs as small", "of")
    rows: list[list[str]] = []
    for title, results in columns.items():
        size, target = PAPER_FROM[title.split(",")[0]]
        for name, own in of_methods(results).items():
            found = smallest(own, target)
            as_small = [r for r in own if r.accuracy >= target and r.nonzeros <= size]
            if found is not None and as_small:
                rows.append(
                    [
                        title,
                        name,
                        f"{100 * target:g} %",
                        f"{found.nonzeros} ({found.accuracy:.2%})",
                        str(size),
                        f"{len(as_small):,}",
                        f"{len(own):,}",
                    ]
                )
    return markdown(header, rows, left=3)


def trimmed_searches(path: Path) -> str:
    """What the networks of searches lose as pruners' networks are trimmed."""
    rows: list[list[str]] = []
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            rows.append([f"{row['network']}-at-{row['target'].removeprefix('0.')}.pt"])
            for size in ("nonzeros", "trimmed", "part"):
                accuracy = row["accuracy" if size == "nonzeros" else f"{size}_accuracy"]
                rows[-1].append(f"{row[size]} ({float(accuracy):.2%})")
    return markdown(("network", "found", "trimmed", "smallest part"), rows)


def tables(folder: Path) -> dict[str, Callable[[], str]]:
    """Every table by name, from the results in a folder."""
    study = read(folder, "gap-random")
    # As published: the same number of runs of every width.
    once = [result for result in study if result.run.repeat == 0]
    # Further repeats of single methods; what both tables hold are the same runs.
    more = [*read(folder, "gap-lth"), *read(folder, "gap-iterative-snip"), *at_width(study, 16)]
    repeated = of_methods(list({result.run: result for result in more}.values()))
    fixed, bench = by_start(folder, STARTS), by_start(folder, BENCH)
    return {
        "smallest": lambda: effort_tables.at_width(of_methods(at_width(study, 16))),
        "width-16": lambda: effort_tables.at_width(of_methods(at_width(study, 16))),
        "width-16-parts": lambda: one_width(study, 16),
        "repeats": lambda: effort_tables.repeats(of_methods(at_width(study, 16))),
        "luck": lambda: luck(repeated),
        "widths-effort": lambda: effort_tables.by_width(study),
        "widths": lambda: compact({str(width): at_width(once, width) for width in widths(once)}),
        "fixed": lambda: compact(fixed),
        "bench": lambda: compact(bench),
        "bench-runs": lambda: bench_runs(bench),
        **exhausted_tables.tables(folder),
        "lower-bound": lambda: lower_bound.table(folder / "lower-bound.csv", NETWORKS),
        "ties": lambda: ties(NETWORKS),
        "trimmed": lambda: trimmed_searches(folder / "trimmed.csv"),
        "disconnected": lambda: disconnected(study, (16, 64, 256)),
        "cost": lambda: costs(study),
        "times": lambda: times(folder / "gap-times.csv"),
        **elimination_tables.tables(folder),
        **search_tables.tables(folder),
    }


def main() -> None:
    """Prints the tables and refreshes the pages."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", type=Path, default=DOCS / "results", metavar="FOLDER")
    parser.add_argument("--pages", type=Path, nargs="*", default=PAGES, metavar="FILE")
    arguments = parser.parse_args()
    known = tables(arguments.results)
    for name, table in known.items():
        print(f"\n{name}\n\n{table()}")
    for page in arguments.pages:
        page.write_text(refreshed(page.read_text(), known))


if __name__ == "__main__":
    main()
