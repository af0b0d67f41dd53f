"""The tables of what the gap study costs: Table 1 of the paper, and our times."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from gap_results import METHODS, Results, at_width
from page_tables import markdown

from prunelimits.experiments import PAPER_PARAMETER_SAMPLES, summarise
from prunelimits.training import MLPEnsemble
from prunelimits.training.cost import training_cost


def number(value: float, digits: int = 2) -> str:
    """As 1.5e9."""
    return f"{value:.{digits}e}".replace("e+0", "e").replace("e+", "e")


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
