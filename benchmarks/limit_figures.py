"""The limit paper's figures on networks that train in minutes, from the tables in docs/results.

Draws docs/images/limits/: larger weights (times 2 to 5), pruning step by step with and without L2,
lower and upper bound, and the sizes of the Hessian's rows: `python benchmarks/limit_figures.py`.
"""

from __future__ import annotations

from itertools import groupby
from statistics import mean

from limit_tables import ROOT, Row, in_order, rows, setting
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prunelimits.viz import save_figure

IMAGES = ROOT / "docs" / "images" / "limits"
SCALES = (1, 2, 3, 4, 5)


def scaled() -> Figure:
    """What the published formula predicts for larger weights, the mean of the seeds."""
    figure, axes = panel("weights times", "removed, predicted")
    table = in_order([row for row in rows("limits.csv") if row["data"] != "spiral"])
    columns = ["predicted", *(f"predicted_times_{scale}" for scale in SCALES[1:])]
    for name, group in groupby(table, setting):
        own = list(group)
        values = [mean(float(row[column]) for row in own) for column in columns]
        axes.plot(SCALES, values, "o-", markersize=3, label=", ".join(name))
    axes.set_xticks(SCALES)
    axes.legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def iterative() -> Figure:
    """How far each round's network can be pruned all in all, without a penalty and with L2."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    styles = {"predicted": "-", "one_point": "--", "within": ":"}
    labels = {"predicted": "predicted", "one_point": "one point less", "within": "loss"}
    for axes, title, kind in zip(panels, ("no penalty", "L2"), ("none", "l2"), strict=True):
        own = [row for row in rows("limits-iterative.csv") if row["penalty"].startswith(kind)]
        for column, style in styles.items():
            values = by_round([r for r in own if r["start"] == "iterative"], column)
            axes.plot(*zip(*values, strict=True), style, color="C0", label=labels[column])
            once = by_round([r for r in own if r["start"] == "at once"], column)
            axes.plot(*zip(*once, strict=True), "x", color="C1")
        removed = by_round([r for r in own if r["start"] == "iterative"], "kept")
        axes.plot([n for n, _ in removed], [1 - kept for _, kept in removed], "k-", linewidth=0.7,
                  label="removed so far")  # fmt: skip
        axes.set_title(f"{title} (crosses: at once)", fontsize=9)
        axes.set_xlabel("round")
    panels[0].set_ylabel("share of the weights removed")
    panels[0].legend(fontsize=7)
    return figure


def by_round(table: list[Row], column: str) -> list[tuple[int, float]]:
    """The mean over the seeds of every round."""
    numbers = sorted({int(row["round"]) for row in table})
    return [
        (n, mean(float(row[column]) for row in table if int(row["round"]) == n)) for n in numbers
    ]


def bounds() -> Figure:
    """What has to remain: lower bound against upper bound, a point a network."""
    figure, axes = panel("lower bound on what remains", "upper bound")
    table = rows("limits.csv")
    table += [row for row in rows("limits-belief.csv") if row["group"] == "tested on"]
    for kind, marker in (("none", "o"), ("l1", "s"), ("l2", "^")):
        own = [row for row in table if row["penalty"].startswith(kind)]
        points = [(1 - float(row["predicted"]), 1 - float(row["constructive"])) for row in own]
        label = {"none": "no penalty", "l1": "L1", "l2": "L2"}[kind]
        axes.plot(*zip(*points, strict=True), marker, markersize=4, alpha=0.7, label=label)
    axes.plot([0, 1], [0, 1], "k-", linewidth=0.5)
    axes.legend(fontsize=7)
    return figure


def row_norms() -> Figure:
    """The published statistic of the Hessian's rows, at the percentiles of the magnitudes."""
    figure, axes = panel("percentile of the weight's magnitude", "L1 norm of its row")
    for name, group in groupby(rows("limits-rows.csv"), lambda row: row["penalty"]):
        values = [float(row["row"]) for row in group]
        # What is nearly zero lies at the bottom.
        axes.semilogy(range(len(values)), [max(v, 1e-8) for v in values], ".", label=name)
    axes.axhline(1e-7, color="grey", linewidth=0.5)
    axes.legend(fontsize=7)
    return figure


def panel(x: str, y: str) -> tuple[Figure, Axes]:
    """A figure of one panel."""
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def main() -> None:
    """Draws all of them."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, figure in (
        ("scaled", scaled()), ("iterative", iterative()), ("bounds", bounds()),
        ("rows", row_norms()),
    ):  # fmt: skip
        save_figure(figure, IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
