"""The results of a study: a table of runs in a CSV file, which is also where a study goes on."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from prunelimits.experiments.study import Run
from prunelimits.resuming import write_whole


class RunResult(NamedTuple):
    """What one run gave.

    Attributes:
        run: Which.
        nonzeros: Weights and biases that are kept.
        effective: Those that lie on a path from an input to an output.
        trimmed: Weights and biases that are left when, after training, first all that no output
            depends on is removed, then the smallest weights one after the other until accuracy
            falls.
        accuracy: Share of all samples classified right.
        parameter_samples: Kept parameters times the samples they were trained on.
        operations: Floating-point operations of the training, see `FitResult`.
    """

    run: Run
    nonzeros: int
    effective: int
    trimmed: int
    accuracy: float
    parameter_samples: float
    operations: float


_COLUMNS = (
    "method", "width", "keep", "recipe", "repeat",
    "nonzeros", "effective", "trimmed", "accuracy", "parameter_samples", "operations",
)  # fmt: skip


def write_table(
    results: Iterable[RunResult], path: str | os.PathLike[str], *, study: str = ""
) -> None:
    """Writes the results, ordered by run, whole or not at all.

    Args:
        results: In any order.
        path: Of the CSV file; an existing one is replaced.
        study: What the runs are part of, for the first line.

    Raises:
        OSError: If the file cannot be written; then it is as it was.
    """
    text = io.StringIO()
    if study:
        text.write(f"# {study}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for run, *counts, accuracy, samples, operations in sorted(results):
        writer.writerow([*run, *counts, accuracy, f"{samples:.0f}", f"{operations:.0f}"])
    write_whole(text.getvalue().encode(), path)


def read_table(path: str | os.PathLike[str]) -> tuple[list[RunResult], str]:
    """The results that `write_table` wrote, and what it said they are part of.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not such a table.
    """
    lines = Path(path).read_text().splitlines()
    study = lines.pop(0).removeprefix("# ") if lines and lines[0].startswith("# ") else ""
    if not lines or tuple(lines[0].split(",")) != _COLUMNS:
        raise ValueError(f"{path} must have the columns {','.join(_COLUMNS)}")
    results: list[RunResult] = []
    for number, row in enumerate(csv.reader(lines[1:]), start=1):
        try:
            method, *integers, accuracy, samples, operations = row
            width, keep, recipe, repeat, *counts = map(int, integers)
            nonzeros, effective, trimmed = counts
            measures = (float(accuracy), float(samples), float(operations))
            run = Run(method, width, keep, recipe, repeat)
            results.append(RunResult(run, nonzeros, effective, trimmed, *measures))
        except ValueError as error:
            raise ValueError(f"{path}, row {number}, is no run: {row}") from error
    return results, study
