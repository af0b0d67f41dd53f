"""The numbers in the sentences about the limit are those of the files in docs/results."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tests.experiments.kept_numbers import Row, check, rows


def of_the_limits() -> Iterator[str]:
    def off(row: Row, column: str) -> float:
        return 100 * (float(row["predicted"]) - float(row[column]))

    own = [row for row in rows("limits") if row["data"] != "spiral"]
    strong = [row for row in own if row["penalty"] == "l1 0.0005"]
    met = [abs(off(row, "above_dense")) for row in strong if float(row["above_dense"])]
    assert (len(met), len(strong)) == (3, 9)
    most = math.ceil(10 * max(met)) / 10
    yield f"within {most} points of the published criterion in the three of nine networks"
    none = [row for row in own if row["penalty"].startswith("none")]
    met = [off(row, "above_dense") for row in none if float(row["above_dense"])]
    assert (len(met), len(none)) == (8, 9)
    yield f"is {min(met):.0f} to {max(met):.0f} points above the published criterion"
    loss = [off(row, "within") for row in none]
    yield f"and {min(loss):.0f} to {max(loss):.0f} points above what the loss itself allows"
    quadratic = {
        penalty: [
            100 * (float(row["constructive"]) - float(row["within"]))
            for row in own
            if row["penalty"] == penalty
        ]
        for penalty in ("l1 0.0005", "none 0", "l2 0.001")
    }
    assert min(map(min, quadratic.values())) > 0
    yield (
        f"within {max(quadratic['l1 0.0005']):.1f} points with the strong L1 penalty, "
        f"{min(quadratic['none 0']):.0f} to {max(quadratic['none 0']):.0f} without any, "
        f"up to {max(quadratic['l2 0.001']):.0f} with L2"
    )
    assert max(abs(float(row["published"]) - float(row["predicted"])) for row in own) < 0.02

    belief = [row for row in rows("limits-belief") if row["group"] == "tested on"]
    without = [row for row in (*own, *belief) if row["penalty"].startswith("none")]
    apart = [100 * (float(r["predicted"]) - float(r["constructive"])) for r in without]
    yield f"without a penalty they are {min(apart):.0f} to {max(apart):.0f} points apart"

    dense = [r for r in rows("limits") if r["data"] == "spiral" and r["model"] == "dense"]
    for column in ("predicted", "exact", "within"):
        left = sorted(round(int(r["weights"]) * (1 - float(r[column]))) for r in dense)
        yield f"{left[0]} to {left[-1]}"
    small = [r for r in rows("limits") if r["data"] == "spiral" and r["model"] != "dense"]
    alike = sum(abs(float(r["constructive"]) - float(r["within"])) < 1e-6 for r in small)
    assert (alike, len(small)) == (11, 12)
    yield "right to the weight for eleven of these twelve"

    distances = {
        strong: [100 * float(r["distance_spread"]) for r in rows("limits-runs")
                 if (r["penalty"] == "l1 0.0005") == strong]
        for strong in (False, True)
    }  # fmt: skip
    yield f"R is known to {min(distances[False]):.1f} to {max(distances[False]):.1f} %"
    yield f"it is known to {min(distances[True]):.1f} to {max(distances[True]):.1f} % only"
    ratios = [float(r["variation"]) / float(r["variation_by_chance"]) for r in rows("limits-runs")]
    assert max(ratios) < 1.5


def of_the_verdict() -> Iterator[str]:
    own = [row for row in rows("limits-belief") if row["penalty"].startswith("none")]
    rise = {
        spiral: [
            float(row["linear"]) + float(row["quadratic"])
            for row in own
            if (row["data"] == "spiral") == spiral
        ]
        for spiral in (False, True)
    }
    low, high = min(rise[False]), max(rise[False])
    assert min(rise[True]) > 200
    yield f"raise the loss by {low:.0f} to {high:.0f} times epsilon"
    spiral = [row for row in own if row["data"] == "spiral"]
    takes, allows = ([100 * float(row[c]) for row in spiral] for c in ("predicted", "within"))
    yield (
        f"would take {min(takes):.0f} to {max(takes):.0f} % of their weights, where pruning at "
        f"once allows {min(allows):.0f} to {max(allows):.0f} %"
    )


def test_what_the_page_of_the_limit_says():
    check("limits.md", of_the_limits())


def test_what_the_page_of_the_verdict_says():
    check("limit-verdict.md", of_the_verdict())
