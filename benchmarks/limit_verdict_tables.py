"""The tables of docs/limit-verdict.md, from what `limit_belief.py` measured.

Run it by `python benchmarks/limit_verdict_tables.py` whenever docs/results/limits-belief.csv has
grown; a test fails while the page does not say what the table holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from limit_tables import ROOT, Row, filled, percent, rows, setting
from page_tables import markdown

from prunelimits.limits import Belief

PAGE = ROOT / "docs" / "limit-verdict.md"
TEXTS = ("group", "data", "model", "penalty", "seed")
# A prediction is right if it is that near to what pruning does.
NEAR = 0.05


class Judged(NamedTuple):
    """What `prunelimits.limits.belief` says of a row, and how far the prediction is off."""

    slope: float
    spread: float
    apart: float
    believed: bool
    off: float
    off_accuracy: float


def judged(row: Row) -> Judged:
    """A row of limits-belief.csv by the library's own condition."""
    value = {name: float(row[name]) for name in row if name not in TEXTS}
    found = Belief(
        slope=value["gradient"] ** 2 / (2 * value["curvature"]) / value["epsilon"],
        linear=value["linear"],
        quadratic=value["quadratic"],
        apart=value["predicted"] - value["constructive"],
        spread=max(value["most"], value["predicted"]) - min(value["least"], value["predicted"]),
    )
    off, off_accuracy = (value["predicted"] - value[name] for name in ("within", "one_point"))
    return Judged(found.slope, found.spread, found.apart, found.believed, off, off_accuracy)


def belief_table() -> str:
    """The condition beside what pruning does, a row a network."""
    cells: list[list[str]] = []
    for row in rows("limits-belief.csv"):
        own = judged(row)
        points = [f"{100 * part:.1f}" for part in (own.spread, own.apart)]
        off = [f"{100 * part:+.1f}" for part in (own.off, own.off_accuracy)]
        answer = "yes" if own.believed else "no"
        cells.append([row["group"], *setting(row), f"{own.slope:.2g}", *points, answer, *off])
    titles = (
        "",
        "network",
        "penalty",
        "slope",
        "spread",
        "apart",
        "believed",
        "off",
        "off, accuracy",
    )
    return markdown(titles, cells, left=3)


def belief_summary() -> str:
    """How often the condition was right, on the networks it was found on and on others."""
    cells: list[list[str]] = []
    for group in ("found on", "tested on"):
        own = [judged(row) for row in rows("limits-belief.csv") if row["group"] == group]
        cells.append([group, str(len(own))])
        for answer in (True, False):
            off = [abs(part.off) for part in own if part.believed == answer]
            near = sum(value <= NEAR for value in off)
            extreme = (max if answer else min)(off, default=0.0)
            cells[-1] += [str(len(off)), str(near), f"{100 * extreme:.1f}"]
    titles = (
        "",
        "networks",
        "believed",
        "right",
        "farthest off",
        "not believed",
        "right all the same",
    )
    return markdown((*titles, "nearest"), cells)


def smeared() -> str:
    """What the published code's smearing of the spectrum does to its prediction."""
    cells: list[list[str]] = []
    for row in rows("limits-belief.csv"):
        if row["seed"] == "0":
            shown_ones = [percent(row[name]) for name in ("published", "smeared", "least", "most")]
            cells.append([*setting(row), *shown_ones])
    titles = ("network", "penalty", "published steps", "with smearing", "60 to 200 steps: least")
    return markdown((*titles, "most"), cells, left=2)


TABLES: dict[str, Callable[[], str]] = {
    "belief-summary": belief_summary,
    "belief": belief_table,
    "smeared": smeared,
}


def main() -> None:
    """Refreshes the page."""
    PAGE.write_text(filled(PAGE.read_text(), TABLES))


if __name__ == "__main__":
    main()
