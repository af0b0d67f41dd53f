"""The tables of docs/depth.md and its figure, from docs/results/depth.csv.

Writes every table into the page, and the figure beside it with `figure`. Run it by
`python benchmarks/depth_tables.py` whenever the results have grown; a test fails while the page
does not say what they hold.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

import exhausted_tables
from depth import DEPTHS, ELIMINATIONS, SEARCHED, TARGET, Row, read_rows, widths
from page_tables import markdown, refreshed

from prunelimits import quotas
from prunelimits.connectivity import disconnection_probability
from prunelimits.models import parameter_shapes

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "results" / "depth.csv", DOCS / "depth.md"
EXHAUSTED = DOCS / "results" / "exhausted-two-layers.csv"
IMAGE = DOCS / "images" / "depth.png"
TARGETS = (TARGET, 0.995)
KEPT = (20, 33, 55, 100)
"""Weights for which the chance of no path is computed."""


def smallest(rows: Iterable[Row], target: float, *, rule: bool = False) -> int | None:
    """Nonzeros of the smallest network at a target, by the paper's rule on request."""
    sizes = [r.with_biases if rule else r.nonzeros for r in rows if r.accuracy >= target]
    return min(sizes, default=None)


def by_seed(rows: Iterable[Row], method: str, depth: int) -> list[list[Row]]:
    """The rows of a method at a depth, seed by seed."""
    mine = [row for row in rows if (row.method, row.depth) == (method, depth)]
    return [[row for row in mine if row.seed == seed] for seed in sorted({r.seed for r in mine})]


def middle(seeds: Sequence[Sequence[Row]], target: float, *, rule: bool = False) -> str:
    """The median over seeds, none counting as beyond every size, and how many seeds reached it."""
    if not seeds:
        return ""
    sizes = [smallest(rows, target, rule=rule) for rows in seeds]
    reached = [size for size in sizes if size is not None]
    best = min(reached, default="none")
    return f"{typical(sizes) or 'none'} ({best}; {len(reached)} of {len(sizes)})"


def typical(sizes: Sequence[int | None]) -> int | None:
    """The median, the lower one of two; None where that reached nothing."""
    ordered = sorted(sizes, key=lambda size: (size is None, size))
    return ordered[(len(ordered) - 1) // 2] if ordered else None


def eliminations(rows: Sequence[Row]) -> str:
    """What elimination reaches at each depth."""
    table: list[list[str]] = []
    for depth in DEPTHS:
        dense = "-".join(map(str, widths(depth)))
        for name in ELIMINATIONS:
            seeds = by_seed(rows, name, depth)
            if seeds:
                cells = [middle(seeds, t, rule=rule) for t in TARGETS for rule in (False, True)]
                table.append([str(depth), dense, name, *cells])
    header = ("hidden layers", "from widths", "run", "at 95 %", "all biases", "at 99.5 %",
              "all biases")  # fmt: skip
    return markdown(header, table, left=3)


def gaps(rows: Sequence[Row]) -> str:
    """Nonzeros that each pruner reaches 95 % with, at each depth."""
    methods = list(dict.fromkeys(row.method for row in rows if row.kind == "pruner"))
    table = [
        [method, *(middle(by_seed(rows, method, depth), TARGET) for depth in DEPTHS)]
        for method in methods
    ]
    return markdown(("", *(f"{depth}" for depth in DEPTHS)), table)


def disconnected(rows: Sequence[Row]) -> str:
    """Median share of a pruner's nonzeros that lie on no path, and how many networks have none."""
    methods = list(dict.fromkeys(row.method for row in rows if row.kind == "pruner"))
    table: list[list[str]] = []
    for method in methods:
        cells: list[str] = []
        for depth in DEPTHS:
            mine = [r for r in rows if (r.method, r.depth) == (method, depth)]
            if mine:
                share = median(1 - r.effective / max(1, r.nonzeros) for r in mine)
                none = sum(_without_a_path(r) for r in mine) / len(mine)
                cells.append(f"{share:.0%} ({none:.0%})")
            else:
                cells.append("")
        table.append([method, *cells])
    return markdown(("", *(f"{depth}" for depth in DEPTHS)), table)


def _without_a_path(row: Row) -> bool:
    """Only the output's bias is on a path where nothing else is."""
    return row.effective <= 1


def chances() -> str:
    """Theorem L.1: how likely random pruning leaves no path, by depth and weights kept."""
    table: list[list[str]] = []
    for keep in KEPT:
        cells: list[str] = []
        for depth in DEPTHS:
            sizes = widths(depth)
            shapes = {n: s for n, s in parameter_shapes(sizes).items() if len(s) == 2}
            layers = quotas.erk(shapes, keep=keep).values()
            cells.append(f"{float(disconnection_probability(sizes, layers)):.2g}")
        table.append([str(keep), *cells])
    return markdown(("weights kept", *(f"{depth}" for depth in DEPTHS)), table)


def searches(rows: Sequence[Row]) -> str:
    """The best network of all of up to so many nonzeros, where they could be tried."""
    table: list[list[str]] = []
    for depth, most in SEARCHED.items():
        mine = [r for r in rows if (r.kind, r.depth) == ("search", depth)]
        if mine:
            best = max(mine, key=lambda r: r.accuracy)
            reached = smallest(mine, TARGET)
            table.append(
                [str(depth), str(most), f"{best.accuracy:.2%} with {best.nonzeros}",
                 "none" if reached is None else str(reached)]
            )  # fmt: skip
    header = ("hidden layers", "every network up to", "best", "smallest at 95 %")
    return markdown(header, table)


def figure(rows: Sequence[Row], path: Path) -> None:
    """Nonzeros at 95 % against depth: elimination's and every pruner's medians."""
    from matplotlib.figure import Figure

    from prunelimits.viz import save_figure
    from prunelimits.viz.method_styles import method_styles

    drawn = Figure(figsize=(7, 4.2), layout="constrained")
    axes = drawn.subplots()
    names = list(dict.fromkeys(r.method for r in rows if r.kind == "pruner"))
    styles = method_styles(names)
    for method in [*ELIMINATIONS, *names]:
        points: list[tuple[int, float]] = []
        for depth in DEPTHS:
            sizes = [smallest(mine, TARGET, rule=True) for mine in by_seed(rows, method, depth)]
            if (middle_one := typical(sizes)) is not None:
                points.append((depth, middle_one))
        if points:
            style = styles.get(method)
            colour = style.colour if style else {"elimination": "#274e13"}.get(method, "#7fa65a")
            axes.plot(
                *zip(*points, strict=True), color=colour, marker=style.marker if style else "*",
                linewidth=1.4 if style else 2.6, markersize=5 if style else 10, label=method,
            )  # fmt: skip
    axes.set(
        xlabel="hidden layers", ylabel="nonzeros at 95 %, all biases counted", yscale="log",
        xticks=DEPTHS,
    )  # fmt: skip
    ticks = (20, 30, 50, 100, 150)
    axes.set_yticks(ticks, map(str, ticks))
    axes.set_ylim(18, 270)
    axes.minorticks_off()
    axes.legend(fontsize=7, ncols=4, frameon=False, loc="upper right")
    axes.grid(color="#dfe2e6")
    save_figure(drawn, path)


def tables(results: Path) -> dict[str, Callable[[], str]]:
    """Every table by name."""
    rows = read_rows(results)
    return {
        "eliminations": lambda: eliminations(rows),
        "gaps": lambda: gaps(rows),
        "disconnected-by-depth": lambda: disconnected(rows),
        "chances": chances,
        "searches": lambda: searches(rows),
        "exhausted-two-layers": lambda: exhausted_tables.by_size(EXHAUSTED),
    }


def main() -> None:
    """Refreshes the page, and draws the figure on request."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="?", choices=("figure",), default=None)
    arguments = parser.parse_args()
    PAGE.write_text(refreshed(PAGE.read_text(), tables(RESULTS)))
    if arguments.what == "figure":
        figure(read_rows(RESULTS), IMAGE)


if __name__ == "__main__":
    main()
