"""The sizes of the Hessian's rows, for the limit paper's Figure 6: docs/results/limits-rows.csv.

Of the MLP on digits, with each penalty, 100 rows at the percentiles of the weights' magnitudes, by
the published statistic (`prunelimits.limits.flat_fraction`). `python benchmarks/limit_rows.py`
trains the networks of seed 0; `python benchmarks/limit_figures.py` draws them.
"""

from __future__ import annotations

import csv

from limit_networks import RESULTS, split, trained
from limit_study import PENALTIES
from torch import nn

from prunelimits.limits import default_names, flat_fraction
from prunelimits.problem import problem_of

TABLE = RESULTS / "limits-rows.csv"


def main() -> None:
    """All penalties, a row a percentile."""
    rows: list[tuple[object, ...]] = []
    for penalty, strength in PENALTIES:
        model = trained("digits", "mlp", penalty, strength, 0)
        problem, params = problem_of(model, nn.CrossEntropyLoss(), split("digits")[0])
        weights = {name: value for name, value in params.items() if value.dim() > 1}
        names = tuple(default_names(model))
        flat, statistic = flat_fraction(problem, params, names, weights)
        name = f"{penalty} {strength:g}"
        rows += [(name, place, f"{value:.4g}") for place, value in enumerate(statistic.tolist())]
        print(name, f"{flat:.0%} flat", flush=True)
    with TABLE.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("penalty", "percentile", "row"), *rows])


if __name__ == "__main__":
    main()
