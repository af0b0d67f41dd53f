"""The figures that draw the gap study: those of docs/gap.md, connectivity.md, closing-the-gap.md.

Run it by `python benchmarks/gap_figures.py`, or with `study`, `starts`, `closing` or `connectivity`
behind it for those alone. `prunelimits gap --pictures` draws the same and more, from any table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from prunelimits.cli.points import read_points
from prunelimits.datasets import cubist_spiral
from prunelimits.experiments import (
    PAPER_COMBINATORIAL,
    PAPER_COMBINATORIAL_FIXED,
    PAPER_METHODS,
    RunResult,
    Size,
    read_table,
)
from prunelimits.viz import disconnection_figure, gap_figure, save_figure
from prunelimits.viz.disconnected import disconnected_figure

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, IMAGES = DOCS / "results", DOCS / "images"
NAMES = [type(pruner).__name__ for pruner in PAPER_METHODS]
# Search results to compare with: our own, which start from random initialisations.
SEARCHES = {
    "search, 2-3-2-2-1": ("widths-2-3-2-2-1.csv",),
    "search, 2-7-3-3-1": ("below-45.csv", "appendix-d.csv"),
}
ELIMINATIONS = {
    "elimination": "elimination.csv",
    "elimination, paper's\nbias rule": "elimination-outgoing.csv",
}


@cache
def read(name: str) -> list[RunResult]:
    """The runs of one table, in the order of the paper's methods."""
    results, _ = read_table(RESULTS / name)
    return sorted(results, key=lambda result: NAMES.index(result.run.method))


def draw(
    name: str,
    results: Iterable[RunResult],
    widths: Iterable[int],
    references: Mapping[str, Iterable[tuple[int, float]]],
    size: Size = "nonzeros",
) -> None:
    """One panel for each width that has results."""
    results = list(results)
    panels = {f"width {w}": [r for r in results if r.run.width == w] for w in widths}
    save_figure(gap_figure(panels, references=references, size=size), IMAGES / "gap" / name)


def searches() -> dict[str, list[tuple[int, float]]]:
    """What searches from random starts found, ours and the paper's."""
    x, y = cubist_spiral()
    found = {
        name: [point for file in files for point in read_points(RESULTS / file, x, y)]
        for name, files in SEARCHES.items()
    }
    return found | {"the paper's search": list(PAPER_COMBINATORIAL)}


def draw_study() -> None:
    """The study from random starts, width by width."""
    study, references = read("gap-random.csv"), searches()
    draw("width-16.png", study, (16,), references)
    # Widths beside each other at equal effort: best of nine, whatever further repeats some have.
    once = [result for result in study if result.run.repeat == 0]
    draw("widths.png", once, (3, 7, 64, 256), references)
    draw("other-widths.png", once, (4, 5, 6, 8, 32, 128), references)
    draw("trimmed.png", study, (16,), references, size="trimmed")


def draw_starts() -> None:
    """The studies from one start each: those of our searches, and the paper's."""
    x, y = cubist_spiral()
    for target, widths in {"995": (6, 16), "95": (3, 16)}.items():
        fixed = {
            "search from\nthe same start": read_points(RESULTS / f"search-at-{target}.csv", x, y),
            "the paper's search\n(its own start)": list(PAPER_COMBINATORIAL_FIXED),
        }
        draw(f"fixed-{target}.png", read(f"gap-fixed-{target}.csv"), widths, fixed)
        found = read_points(RESULTS / f"bench-{target}-masks.csv", x, y)
        fixed = {
            "our search from\nthe same start": found,
            # Of its two networks the one that it found from this start.
            "the paper's search": [PAPER_COMBINATORIAL_FIXED[int(target == "995")]],
        }
        draw(f"bench-{target}.png", read(f"gap-bench-{target}.csv"), widths, fixed)


def draw_closing() -> None:
    """Elimination beside searches and pruners."""
    x, y = cubist_spiral()
    references = searches()
    closing = {name: read_points(RESULTS / file, x, y) for name, file in ELIMINATIONS.items()}
    closing["our search"] = [point for name in SEARCHES for point in references[name]]
    closing["the paper's search"] = references["the paper's search"]
    figure = gap_figure(
        {"from width 16": [r for r in read("gap-random.csv") if r.run.width == 16]},
        references=closing,
        scatter=False,
    )
    figure.set_size_inches(9, 5)
    save_figure(figure, IMAGES / "closing-the-gap.png")


def draw_connectivity() -> None:
    """What is on no path, in the study and by the theorem."""
    save_figure(disconnected_figure(read("gap-random.csv")), IMAGES / "disconnected.png")
    theorem = disconnection_figure(3, 12, (8, 11, 16, 20, 24, 32, 45, 64, 91, 128, 181, 256, 512))
    save_figure(theorem, IMAGES / "disconnection.png")


FIGURES = {
    "study": draw_study,
    "starts": draw_starts,
    "closing": draw_closing,
    "connectivity": draw_connectivity,
}


def main() -> None:
    """Draws all of them, or those that are named."""
    for name in sys.argv[1:] or FIGURES:
        FIGURES[name]()


if __name__ == "__main__":
    main()
