"""Pages of the documentation, and the files in docs/results that their sentences are about."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from scipy.stats import beta

from prunelimits.experiments import RunResult, read_table

RESULTS = Path(__file__).parent.parent.parent / "docs" / "results"
Row = dict[str, str]


@cache
def page(name: str) -> str:
    """A page with every run of blanks as one."""
    return " ".join((RESULTS.parent / name).read_text().split())


@cache
def rows(name: str) -> tuple[Row, ...]:
    with open(RESULTS / f"{name}.csv", newline="") as file:
        return tuple(csv.DictReader(line for line in file if not line.startswith("#")))


@cache
def runs(name: str) -> tuple[RunResult, ...]:
    return tuple(read_table(RESULTS / f"{name}.csv")[0])


def of(name: str, method: str, width: int) -> list[RunResult]:
    return [r for r in runs(name) if r.run[:2] == (method, width)]


def trainings(name: str, least: int, most: int, column: str = "trainings") -> int:
    return sum(int(r[column]) for r in rows(name) if least <= int(r["nonzeros"]) <= most)


def limits(hits: int, of_runs: int) -> tuple[float, float]:
    """The 95 % interval of Clopper and Pearson."""
    low = beta.ppf(0.025, hits, of_runs - hits + 1) if hits else 0.0
    return float(low), float(beta.ppf(0.975, hits + 1, of_runs - hits))


def at_size(name: str, nonzeros: int) -> Row:
    (row,) = (row for row in rows(name) if int(row["nonzeros"]) == nonzeros)
    return row


def percent(value: float, digits: int = 2) -> str:
    return f"{100 * value:.{digits}f} %"


def check(name: str, sentences: Iterable[str]) -> None:
    """Asserts that each of these is on the page, but for capitals."""
    said = list(sentences)
    assert said
    for sentence in said:
        assert sentence.lower() in page(name).lower(), sentence
