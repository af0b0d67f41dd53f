"""The tables of what successive halving loses, from the counts that `halving.py` keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kept_rows import read_rows
from page_tables import markdown
from scipy.stats import binomtest

Rows = Sequence[dict[str, str]]


def halving(rows: Rows) -> str:
    """What each choice of rungs keeps of each run, and of the best of all runs together."""
    runs = list(dict.fromkeys(row["run"] for row in rows if int(row["reached"])))
    lines: list[list[str]] = []
    for rungs in dict.fromkeys(row["rungs"] for row in rows):
        own = [row for row in rows if row["rungs"] == rungs]
        line = [f"`{rungs}`", f"{float(own[0]['epochs']):.1f}"]
        for run in runs:
            row = next(row for row in own if row["run"] == run)
            line.append(_share(int(row["reached_kept"]), int(row["reached"])))
        kept, all_ = (sum(int(row[name]) for row in own) for name in ("best_kept", "best"))
        lines.append([*line, _share(kept, all_)])
    return markdown(("rungs", "epochs", *runs, "best per mille"), lines)


def _share(found: int, of: int) -> str:
    """With its 95 % Clopper-Pearson interval."""
    interval = binomtest(found, of).proportion_ci(0.95, method="exact")
    return f"{found / of:.0%} of {of} ({interval.low:.0%} to {interval.high:.0%})"


def halving_ranks(rows: Rows) -> str:
    """How early the trainings that reach the target can be told from the others."""
    epochs = list(dict.fromkeys(row["epochs"] for row in rows))
    lines: list[list[str]] = []
    for run in dict.fromkeys(row["run"] for row in rows):
        for name, title in (("median", "median"), ("nine_of_ten", "nine of ten")):
            own = {row["epochs"]: float(row[name]) for row in rows if row["run"] == run}
            lines.append([f"{run}, {title}", *(f"{own[epoch]:.1%}" for epoch in epochs)])
    return markdown(("after epochs", *epochs), lines)


def tables(folder: Path) -> dict[str, Callable[[], str]]:
    """Every table by name, from the results in a folder."""
    return {
        "halving": lambda: halving(read_rows(folder / "halving.csv")),
        "halving-ranks": lambda: halving_ranks(read_rows(folder / "halving-ranks.csv")),
    }
