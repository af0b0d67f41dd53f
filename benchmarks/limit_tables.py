"""Puts the tables of `limit_study.py` into docs/limits.md, and draws the page's picture.

A table stands between the lines `<!-- table: NAME -->` and `<!-- end -->`, and is made anew from
the CSV files in docs/results: `python benchmarks/limit_tables.py`. With `picture` behind it, the
picture is drawn too, for which a network is trained.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from pathlib import Path
from statistics import median

from page_tables import markdown, places, refreshed

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "limits.md"
NAMES = {
    "mlp": "MLP",
    "conv": "two convolutions",
    "tanh": "MLP, tanh",
    "deep": "MLP, four layers",
    "batchnorm": "MLP, BatchNorm",
    "digits": "digits",
    "mnist-5k": "MNIST",
    "wine": "wine",
    "breast cancer": "breast cancer",
}
PENALTIES = {"none": "none", "l1": "L1", "l2": "L2"}
Row = dict[str, str]


def rows(table: str) -> list[Row]:
    """A study's table, as far as it is there."""
    path = ROOT / "docs" / "results" / table
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def setting(row: Row) -> tuple[str, str]:
    """Network and penalty, as the page names them."""
    kind, _, strength = row["penalty"].partition(" ")
    penalty = PENALTIES[kind] + (f" {strength}" if float(strength or 0) else "")
    if row["data"] == "spiral":
        return "spiral, dense" if row["model"] == "dense" else f"`{row['model']}`", penalty
    return f"{NAMES[row['data']]}, {NAMES[row['model']]}", penalty


def in_order(table: list[Row]) -> list[Row]:
    """Networks together, digits first, and of each the weaker penalty first."""

    def place(row: Row) -> tuple[int, int, int, float, int]:
        kind, _, strength = row["penalty"].partition(" ")
        return (
            ("digits", "mnist-5k").index(row["data"]),
            ("mlp", "conv").index(row["model"]),
            list(PENALTIES).index(kind),
            float(strength or 0),
            int(row["seed"]),
        )

    return sorted(table, key=place)


def percent(share: str | float) -> str:
    """One digit after the point."""
    return f"{100 * float(share):.1f} %"


def shown(row: Row, columns: Iterable[str]) -> list[str]:
    """Fractions; the published criterion may never be met."""
    return [
        "none" if column == "above_dense" and not float(row[column]) else percent(row[column])
        for column in columns
    ]


def networks() -> str:
    """Theory beside practice, a row a network."""
    columns = ("predicted", "published", "exact", "directed", "constructive")
    measured = ("within", "above_dense", "one_point")
    table = in_order([row for row in rows("limits.csv") if row["data"] != "spiral"])
    cells = []
    for name, own in groupby(table, setting):
        for place, row in enumerate(own):
            first = name if place == 0 else ("", "")
            epsilon = f"{float(row['epsilon']):.4f}"
            cells.append([*first, row["seed"], epsilon, *shown(row, (*columns, *measured))])
    titles = ("network", "penalty", "seed", "epsilon", "predicted", "published steps", "exact")
    titles += ("directed", "constructive", "loss", "above dense", "one point")
    return markdown(titles, cells, left=2)


def scaled() -> str:
    """What the published formula says for larger weights, the mean of all seeds."""
    columns = ("predicted", *(f"predicted_times_{scale}" for scale in (2, 3, 4, 5)))
    table = in_order([row for row in rows("limits.csv") if row["data"] != "spiral"])
    cells = [[*name, *means(own, columns)] for name, own in groupby(table, setting)]
    return markdown(
        ("network", "penalty", "as they are", *(f"times {scale}" for scale in (2, 3, 4, 5))),
        cells,
        left=2,
    )


def means(own: Iterable[Row], columns: Iterable[str]) -> list[str]:
    """The mean fractions of some rows."""
    table = list(own)
    return [percent(sum(float(row[c]) for row in table) / len(table)) for c in columns]


def iterative() -> str:
    """Rounds of pruning and training, the mean of all seeds."""

    def group(row: Row) -> tuple[str, str, int]:
        return row["penalty"], row["start"], int(row["round"])

    def place(row: Row) -> tuple[bool, bool, int]:
        return not row["penalty"].startswith("none"), row["start"] == "at once", int(row["round"])

    columns = ("predicted", "constructive", "within", "one_point", "accuracy")
    cells = []
    for (_, start, number), own in groupby(
        sorted(rows("limits-iterative.csv"), key=place), key=group
    ):
        table = list(own)
        name = f"{number}" if start == "iterative" else "at once"
        penalty = setting(table[0])[1] if number == 0 else ""
        removed = percent(1 - float(table[0]["kept"]))
        cells.append([penalty, name, f"{len(table)}", removed, *means(table, columns)])
    titles = ("penalty", "round", "seeds", "removed", "predicted", "constructive", "loss")
    return markdown((*titles, "one point", "accuracy"), cells)


def runs() -> str:
    """How far runs from different seeds are from one distribution of weights."""
    cells = [
        [
            *setting(row),
            f"{float(row['variation']):.3f}",
            f"{float(row['variation_by_chance']):.3f}",
            f"{float(row['distance']):.3g}",
            percent(row["distance_spread"]),
        ]
        for row in in_order([row | {"seed": "0"} for row in rows("limits-runs.csv")])
    ]
    titles = ("network", "penalty", "total variation", "by chance", "R at 90 %", "its spread")
    return markdown(titles, cells, left=2)


def spirals() -> str:
    """Networks of the Cubist Spiral, the largest first."""
    columns = ("predicted", "exact", "directed", "constructive", "within", "one_point")
    table = [row for row in rows("limits.csv") if row["data"] == "spiral"]
    table.sort(key=lambda row: (-int(row["weights"]), row["model"], row["seed"]))
    cells = [
        [
            f"dense, start {row['seed']}" if row["model"] == "dense" else f"`{row['model']}`",
            row["weights"],
            f"{float(row['epsilon']):.4f}",
            *shown(row, columns),
        ]
        for row in table
    ]
    titles = ("network", "weights", "epsilon", "predicted", "exact", "directed", "constructive")
    return markdown((*titles, "loss", "one point"), cells)


def bounds() -> str:
    """Lower bound, upper bound and difference of what remains, every network that was trained."""
    own = rows("limits.csv")
    others = [row for row in rows("limits-belief.csv") if row["group"] == "tested on"]
    # The seeds of a network together, networks as they come.
    first = list(dict.fromkeys(map(setting, others)))
    others.sort(key=lambda row: first.index(setting(row)))
    found = [row for row in own if row["data"] == "spiral"]
    known = {row["model"] for row in found}
    found += [r for r in others if r["data"] == "spiral" and r["model"] not in known]
    table = in_order([row for row in own if row["data"] != "spiral"])
    table += [row for row in others if row["data"] != "spiral"]
    table += sorted(found, key=lambda row: (-int(row["weights"]), row["model"], row["seed"]))
    cells: list[list[str]] = []
    for titles, group in groupby(table, setting):
        lower, upper, apart = [], [], []
        for row in group:
            low, high = 1 - float(row["predicted"]), 1 - float(row["constructive"])
            for values, value in ((lower, low), (upper, high), (apart, high - low)):
                values.append(f"{100 * value:.1f}")
        cells.append([*titles, *(", ".join(values) for values in (lower, upper, apart))])
    return markdown(
        ("network", "penalty", "lower bound", "upper bound", "difference"), cells, left=2
    )


def row_norms() -> str:
    """The published statistic of the Hessian's rows, by penalty."""
    cells: list[list[str]] = []
    for penalty, own in groupby(rows("limits-rows.csv"), lambda row: row["penalty"]):
        values = [float(row["row"]) for row in own]
        kind, _, strength = penalty.partition(" ")
        name = PENALTIES[kind] + (f" {strength}" if float(strength) else "")
        flat = sum(value < 1e-7 for value in values) / len(values)
        shown_ones = [f"{value:.2g}" for value in (values[0], median(values), values[-1])]
        cells.append([name, f"{flat:.0%}", *shown_ones])
    titles = ("penalty", "below 1e-7", "smallest weight's row", "median", "largest weight's row")
    return markdown(titles, cells)


def dimensions() -> str:
    """The dimension that a subspace needs to meet an ellipsoid: formulas and samples."""
    cells: list[list[str]] = []
    for row in rows("limits-dimensions.csv"):
        place = f"{float(row['epsilon']):g}, {float(row['distance']):.6g}"
        found = ("published", "exact", "projected", "subspaces")
        cells.append([row["ellipsoid"], place, *(f"{float(row[name]):.3f}" for name in found)])
    header = ("ellipsoid", "epsilon, R", "published", "exact", "by projection", "random subspaces")
    return markdown(header, cells, left=2)


TABLES: dict[str, Callable[[], str]] = {
    "networks": networks,
    "scaled": scaled,
    "iterative": iterative,
    "runs": runs,
    "spirals": spirals,
    "bounds": bounds,
    "rows": row_norms,
    "dimensions": dimensions,
}


def filled(page: str, tables: Mapping[str, Callable[[], str]] | None = None) -> str:
    """The page with its tables made anew; a page of other tables names them."""
    tables = TABLES if tables is None else tables
    for name in tables:
        if name not in places(page):
            raise ValueError(
                f"page must have a line <!-- table: {name} -->, and <!-- end --> after"
            )
    return refreshed(page, tables)


def draw() -> None:
    """The page's picture: a network with a penalty."""
    from limit_networks import split, trained
    from limit_study import limit_and_sweep
    from torch import nn

    from prunelimits.viz import save_figure
    from prunelimits.viz.limit import limit_figure

    model = trained("digits", "mlp", "none", 0.0, 0)
    found = limit_and_sweep(model, nn.CrossEntropyLoss(), *split("digits"))
    save_figure(limit_figure(*found), ROOT / "docs" / "images" / "limit.png")


def main() -> None:
    """The tables, and the picture on request."""
    PAGE.write_text(filled(PAGE.read_text()))
    if sys.argv[1:] == ["picture"]:
        draw()


if __name__ == "__main__":
    main()
