"""The paper's figures and claims that no other page has: the tables and pictures of one page.

Writes the tables of docs/paper-figures.md from the files in docs/results; with `pictures` behind
it, draws the page's pictures too: `python benchmarks/paper_figures.py pictures`. A test fails while
the page does not say what the files hold.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import groupby, pairwise
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import torch
from gap_archive import Kept, read_archive
from kept_rows import read_rows
from page_tables import markdown, refreshed
from sign_table import signs

from prunelimits.connectivity import effective_masks
from prunelimits.datasets import cubist_spiral
from prunelimits.experiments import RunResult, read_table, upper_limit
from prunelimits.pareto import pareto_front

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, IMAGES = DOCS / "results", DOCS / "images" / "paper"
PAGE = DOCS / "paper-figures.md"
TARGETS = (0.95, 0.995)


class Example(NamedTuple):
    """A network that a figure of the paper shows, and where to look for ours."""

    figure: str
    method: str
    nonzeros: int
    accuracy: float
    table: str = "gap-anew"
    width: int = 16


EXAMPLES = (
    Example("9", "ProsPr", 59, 0.7652),
    Example("10", "GMP", 38, 0.8403),
    Example("14a", "GMP", 39, 0.9773, "gap-bench-995", 6),
    Example("14b", "RigL", 52, 0.9974, "gap-bench-995", 6),
    Example("18a", "FORCE", 62, 0.9047),
    Example("18b", "GraSP", 66, 0.9452),
    Example("18c", "IterSNIP", 78, 0.9969),
    Example("18d", "LTH", 44, 0.9623),
    Example("19a", "RigL", 52, 0.9704),
    Example("19b", "SNIP", 79, 0.8130),
    Example("19c", "SynFlow", 42, 0.9476),
)
# Nonzeros of the networks that the paper's search found, at each target, and from random starts.
SEARCHES = {"the paper's search": (30, 45), "our search": (24, 44)}
PAPER_AS_SMALL = {0.95: "SNIP, 29 (95.14 %)", 0.995: "GMP, 40 (99.68 %)"}


def rows(name: str) -> list[dict[str, str]]:
    """A table of docs/results; none where it is missing."""
    return read_rows(RESULTS / name)


def shown(example: Example, archive: list[Kept]) -> Kept | None:
    """Of the kept networks of its method and width the one that is nearest to it in size."""
    wanted = (example.table, example.method, example.width)
    own = [kept for kept in archive if (kept.table, *kept.run[:2]) == wanted]
    return min(own, key=lambda k: (abs(len(k.values) - example.nonzeros), k.run), default=None)


def results_of(table: str) -> dict[object, RunResult]:
    """The runs of a table."""
    return {result.run: result for result in read_table(RESULTS / f"{table}.csv")[0]}


def networks() -> str:
    """Figures 9, 10, 14, 18 and 19: the paper's network, and ours of the method nearest in size."""
    archive = read_archive()
    known = {table: results_of(table) for table in {kept.table for kept in archive}}
    lines: list[list[str]] = []
    for example in EXAMPLES:
        line = [example.figure, example.method, f"{example.nonzeros} ({example.accuracy:.2%})"]
        kept = shown(example, archive)
        if kept is None:
            lines.append([*line, "not kept yet", "", "", ""])
            continue
        result = known[kept.table][kept.run]
        stray = result.nonzeros - result.effective
        picture = f"images/paper/figure-{example.figure}.png"
        ours = f"[{result.nonzeros} ({result.accuracy:.2%})]({picture})"
        lines.append([*line, ours, str(stray), str(result.trimmed), str(small_weights(kept))])
    header = (
        "figure",
        "method",
        "paper",
        "ours",
        "on no path",
        "left by trimming",
        "small weights",
    )
    return markdown(header, lines, left=2)


def small_weights(kept: Kept) -> int:
    """How many of the weights on a path are below a hundredth of the largest of their layer."""
    model, masks = kept.network()
    on_path = effective_masks({name: mask[None] for name, mask in masks.items()})
    found = 0
    for name, parameter in model.named_parameters():
        sizes = parameter.detach().abs()
        if name.endswith("weight"):
            found += int((on_path[name][0] & (sizes < sizes.max() / 100)).sum())
    return found


def archive_summary() -> str:
    """What the archive holds, by table and width: of each method so many networks."""
    lines: list[list[str]] = []

    def place(kept: Kept) -> tuple[str, int]:
        return kept.table, kept.run.width

    for (table, width), own in groupby(sorted(read_archive(), key=place), place):
        group = list(own)
        sizes = [len(kept.values) for kept in group]
        counts = Counter(kept.run.method for kept in group)
        kinds = defaultdict[int, list[str]](list)
        for method, number in counts.items():
            kinds[number].append(method)
        each = "; ".join(
            f"{number} of {'each of the nine' if len(methods) == 9 else ', '.join(methods)}"
            for number, methods in sorted(kinds.items(), reverse=True)
        )
        results = results_of(table)
        smallest = [
            str(min((n for n, kept in zip(sizes, group, strict=True)
                     if results[kept.run].accuracy >= target), default="-"))
            for target in TARGETS
        ]  # fmt: skip
        lines.append([table, str(width), each, str(len(group)), *smallest])
    header = ("table", "width", "of each method", "networks", "smallest at 95 %", "at 99.5 %")
    return markdown(header, lines, left=3)


def made_anew() -> str:
    """The published study beside the one made anew, run by run: what rounding does."""
    before, after = results_of("gap-random"), results_of("gap-anew")
    by_width = defaultdict[int, list[tuple[RunResult, RunResult]]](list)
    for run, result in after.items():
        by_width[run.width].append((before[run], result))
    lines: list[list[str]] = []
    for width, pairs in sorted(by_width.items()):
        same = sum(old[:5] == new[:5] for old, new in pairs)
        more = mean(new.accuracy - old.accuracy for old, new in pairs)
        smallest = [
            " / ".join(
                str(min((r.nonzeros for r in side if r.accuracy >= target), default="-"))
                for side in zip(*pairs, strict=True)
            )
            for target in TARGETS
        ]
        points = f"{round(100 * more, 2) + 0.0:+.2f}"
        share = f"{same / len(pairs):.0%}"
        lines.append([str(width), f"{len(pairs):,}", share, points, *smallest])
    header = ("width", "runs", "the same", "points more, mean", "smallest at 95 %", "at 99.5 %")
    return markdown(header, lines)


def two_of_all() -> str:
    """Section 6.2: how many runs of the published study are as small and as good as a search."""
    study = [r for r in read_table(RESULTS / "gap-random.csv")[0] if r.run.repeat == 0]
    lines: list[list[str]] = []
    for name, sizes in SEARCHES.items():
        for target, size in zip(TARGETS, sizes, strict=True):
            there = [r for r in study if r.accuracy >= target and r.nonzeros <= size]
            near = min(
                (r for r in study if r.accuracy >= target), key=lambda r: (r.nonzeros, -r.accuracy)
            )
            small = sum(r.nonzeros <= size for r in study)
            nearest = f"{near.nonzeros} ({near.accuracy:.2%})"
            lines.append(
                [
                    f"{100 * target:g} %",
                    f"{name}: {size}",
                    PAPER_AS_SMALL[target] if name == "the paper's search" else "",
                    f"{len(there)} of {len(study):,}",
                    f"{upper_limit(len(there), small):.3%} of {small:,}",
                    f"{near.run.method}, width {near.run.width}: {nearest}",
                ]
            )
    header = ("target", "as small as", "the paper's", "our runs", "at most (95 % limit)", "nearest")
    return markdown(header, lines, left=3)


def every_training() -> list[tuple[int, float]]:
    """Nonzeros and accuracy of every training of the first phase from BENCH-995."""
    return [
        (int(row["nonzeros"]), float(value))
        for row in rows("figure-5.csv")
        for name, value in row.items()
        if name != "nonzeros"
    ]


def figure_5() -> str:
    """Phase one: the smallest network at each target, from random starts and from the paper's."""
    random = [(int(row["nonzeros"]), float(row["accuracy"])) for row in rows("phase-one.csv")]
    trainings = sum(int(row["trainings"]) for row in rows("phase-one.csv"))
    lines: list[list[str]] = []
    for name, points, number, papers in (
        ("random", random, trainings, ("37", "61")),
        ("BENCH-995", every_training(), len(every_training()), ("", "50")),
    ):
        for target, paper in zip(TARGETS, papers, strict=True):
            there = [point for point in points if point[1] >= target]
            size, accuracy = min(there, key=lambda point: (point[0], -point[1]))
            ours = f"{size} ({accuracy:.2%})"
            lines.append([name, f"{number:,}", f"{100 * target:g} %", paper, ours])
    return markdown(("starts", "trainings", "target", "paper", "ours"), lines)


def wider() -> str:
    """Appendix J: the fewest parameters of a network of 17 units in a layer, fully connected."""
    lines: list[list[str]] = []
    for layer in range(3):
        hidden = [17 if place == layer else 1 for place in range(3)]
        widths = (2, *hidden, 1)
        structured = sum(a * b + b for a, b in pairwise(widths))
        # Every unit and input is used and has a weight, every unit but the inputs a bias.
        least = sum(max(a, b) for a, b in pairwise(widths)) + sum(hidden) + 1
        lines.append([f"({', '.join(map(str, widths))})", str(structured), str(least)])
    header = ("widths", "parameters", "least nonzeros of any mask, a bias a unit")
    return markdown(header, lines)


TABLES: dict[str, Callable[[], str]] = {
    "figure-5": figure_5,
    "networks": networks,
    "archive": archive_summary,
    "made-anew": made_anew,
    "two-of-all": two_of_all,
    "signs": lambda: signs(RESULTS / "sign-pattern.csv"),
    "wider": wider,
}


def draw() -> None:
    """Every picture of the page."""
    from matplotlib.figure import Figure

    from prunelimits.viz import network_figure, save_figure

    x, y = cubist_spiral()
    archive = read_archive()
    IMAGES.mkdir(parents=True, exist_ok=True)
    for example in EXAMPLES:
        kept = shown(example, archive)
        if kept is not None:
            title = f"{example.method}, width {example.width}: {len(kept.values)} nonzeros"
            figure = network_figure(*kept.network(), x, y, resolution=96, title=title)
            # Small: there are eleven of them.
            path = IMAGES / f"figure-{example.figure}.png"
            figure.savefig(path, dpi=75, metadata={})
    best = [(int(row["nonzeros"]), float(row["accuracy"])) for row in rows("phase-one.csv")]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    every = every_training()
    axes.plot(*zip(*every, strict=True), ".", markersize=2, alpha=0.5, label="BENCH-995, each")
    label = "random starts, best of each size"
    axes.plot(*zip(*best, strict=True), "o", markersize=2, alpha=0.5, label=label)
    axes.plot(*zip(*pareto_front(best), strict=True), "k-", linewidth=1, drawstyle="steps-post")
    for target in TARGETS:
        axes.axhline(target, color="grey", linewidth=0.5)
    axes.set_xscale("log")
    axes.legend(fontsize=8)
    axes.set_xlabel("nonzero parameters")
    axes.set_ylabel("accuracy")
    save_figure(figure, IMAGES / "figure-5.png")


def main() -> None:
    """The tables, and the pictures on request."""
    torch.set_num_threads(1)
    PAGE.write_text(refreshed(PAGE.read_text(), TABLES))
    if sys.argv[1:] == ["pictures"]:
        draw()


if __name__ == "__main__":
    main()
