"""The tables of the gap study, which the pages of the documentation hold, from its results.

Prints every table as Markdown and writes it into the pages, between `<!-- table: its-name -->` and
`<!-- end -->`. Run it by `python benchmarks/gap_tables.py` whenever a table in docs/results has
grown; a test fails while a page does not say what the tables hold.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import effort_tables
import elimination_tables
import exhausted_tables
import halving_tables
import lower_bound
import regrowth_choice_tables
import search_tables
from gap_cost_tables import costs, times
from gap_results import at_width, of_methods, read, widths
from gap_start_tables import bench_runs, by_start, compact
from gap_width_tables import disconnected, luck, one_width
from kept_rows import read_rows
from page_tables import refreshed
from tie_table import eliminated, ties

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
STARTS = {"gap-fixed-995": "at-995.pt", "gap-fixed-95": "at-95.pt"}
BENCH = {"gap-bench-995": "BENCH-995", "gap-bench-95": "BENCH-95"}


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
        "widths-between": lambda: effort_tables.between_widths(study),
        "widths": lambda: compact({str(width): at_width(once, width) for width in widths(once)}),
        "fixed": lambda: compact(fixed),
        "bench": lambda: compact(bench),
        "bench-runs": lambda: bench_runs(bench),
        **exhausted_tables.tables(folder),
        "lower-bound": lambda: lower_bound.table(folder / "lower-bound.csv", NETWORKS),
        "ties": lambda: ties(NETWORKS),
        "elimination-ties": lambda: eliminated(folder / "eliminated"),
        "disconnected": lambda: disconnected(study, (16, 64, 256)),
        "cost": lambda: costs(study),
        "times": lambda: times(folder / "gap-times.csv"),
        **elimination_tables.tables(folder),
        "elimination-beside": lambda: elimination_tables.beside(
            read_rows(folder / "elimination-runs.csv"),
            NETWORKS,
            lower_bound.least_nonzeros(folder / "lower-bound.csv"),
        ),
        **halving_tables.tables(folder),
        **regrowth_choice_tables.tables(folder),
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
