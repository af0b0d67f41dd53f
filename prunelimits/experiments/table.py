"""The results of a study: a table of runs in a CSV file, which is also where a study goes on."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from prunelimits.arguments import (
    checked_file,
    checked_instance,
    checked_integer,
    checked_items,
    checked_number,
    checked_text,
    shown,
)
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
        accuracy: Share of the training samples classified right. Where numbers are predicted, the
            share of their variance that is explained, R², and 0 where that is below: no better
            than their mean.
        parameter_samples: Kept parameters times the samples they were trained on.
        operations: Floating-point operations of the training, see `FitResult`.
        choose: The same on the validation data, `choose` of `run_study`; None where there is none.
        test: On the test data; likewise.
    """

    run: Run
    nonzeros: int
    effective: int
    trimmed: int
    accuracy: float
    parameter_samples: float
    operations: float
    choose: float | None = None
    test: float | None = None


_COLUMNS = (
    "method", "width", "keep", "recipe", "repeat",
    "nonzeros", "effective", "trimmed", "accuracy", "parameter_samples", "operations",
)  # fmt: skip
# Columns of studies with validation and test data.
_PARTS = ("choose", "test")


def write_table(
    results: Iterable[RunResult], path: str | os.PathLike[str], *, study: str = ""
) -> None:
    """Writes the results, ordered by run, whole or not at all.

    Args:
        results: In any order, of different runs.
        path: Of the CSV file; an existing one is replaced.
        study: What the runs are part of, for the first line.

    Raises:
        ValueError: If `study` has several lines, a number is out of its range, a run is there
            twice, or `path` is a folder.
        TypeError: If an argument is of another kind.
        OSError: If the file cannot be written; then it is as it was.
    """
    path = checked_file("path", path)
    checked_text("study", study, absent=False)
    if len(study.splitlines()) > 1 or study != study.strip("\r\n"):
        raise ValueError(f"study must be one line, got {shown(study)}")
    text = io.StringIO()
    if study:
        text.write(f"# {study}\n")
    writer = csv.writer(text, lineterminator="\n")
    ordered = sorted(checked_results(results))
    in_parts = any(result[-2:] != (None, None) for result in ordered)
    writer.writerow((*_COLUMNS, *_PARTS) if in_parts else _COLUMNS)
    for before, after in pairwise(ordered):
        if before.run == after.run:
            raise ValueError(f"results must be of different runs, got {after.run} twice")
    for run, *counts, accuracy, samples, operations, choose, test in ordered:
        row = [*run, *counts, accuracy, f"{samples:.0f}", f"{operations:.0f}"]
        writer.writerow([*row, choose, test] if in_parts else row)
    write_whole(text.getvalue().encode(), path)


def checked_results(results: object) -> list[RunResult]:
    """`results` as a list, if they hold what trainings can have given.

    Raises:
        TypeError: If one is no `RunResult`, or something in it is no number.
        ValueError: If a number is out of its range.
    """
    found = checked_items("results", results, RunResult)
    for place, result in enumerate(found):
        _check_result(f"results[{place}]", result)
    return found


def _check_result(place: str, result: RunResult) -> None:
    run, *numbers = result
    try:
        _check_numbers(run, numbers)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{place}, {error}") from error


def _check_numbers(run: Run, numbers: Sequence[object]) -> None:
    checked_instance("run", run, Run, "a Run")
    checked_text("method", run.method, absent=False)
    if not run.method or len(run.method.splitlines()) > 1:
        raise ValueError(f"method must be a name in one line, got {run.method!r}")
    for name, least in (("width", 1), ("keep", 0), ("recipe", 0), ("repeat", 0)):
        checked_integer(name, getattr(run, name), least)
    *counts, accuracy, samples, operations, choose, test = numbers
    for name, value in zip(("nonzeros", "effective", "trimmed"), counts, strict=True):
        checked_integer(name, value, 0)
    checked_number("accuracy", accuracy, least=0, most=1)
    for name, share in zip(_PARTS, (choose, test), strict=True):
        if share is not None:
            checked_number(name, share, least=0, most=1)
    checked_number("parameter_samples", samples, least=0)
    checked_number("operations", operations, least=0)


def read_table(path: str | os.PathLike[str]) -> tuple[list[RunResult], str]:
    """The results that `write_table` wrote, and what it said they are part of.

    Raises:
        OSError: If the file cannot be read.
        TypeError: If `path` is no path.
        ValueError: If it is not such a table, a number in it is out of its range, or a run is there
            twice; the message names the file and the row.
    """
    path = checked_file("path", path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no table: {error}") from error
    first, _, rest = text.partition("\n")
    study = ""
    if first.startswith("# "):
        study, text = first.removeprefix("# ").rstrip("\r"), rest
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    results: list[RunResult] = []
    try:
        columns = tuple(next(rows, ()))
        if columns not in (_COLUMNS, (*_COLUMNS, *_PARTS)):
            raise ValueError(f"{path} must have the columns {','.join(_COLUMNS)}")
        for number, row in enumerate(rows, start=1):
            results.append(_result(path, number, row, len(columns)))
    # Such as a field of more than 131,072 characters.
    except csv.Error as error:
        raise ValueError(f"{path}, row {len(results) + 1}, is no run: {error}") from error
    seen: set[Run] = set()
    for number, result in enumerate(results, start=1):
        _check_result(f"{path}, row {number}", result)
        if result.run in seen:
            raise ValueError(f"{path}, row {number}, is there twice: {result.run}")
        seen.add(result.run)
    return results, study


def _result(path: Path, number: int, row: list[str], columns: int) -> RunResult:
    try:
        if len(row) != columns:
            raise ValueError("cells are missing, or there are too many")
        method, *rest = row
        integers, floats = rest[: len(_COLUMNS) - 4], rest[len(_COLUMNS) - 4 :]
        accuracy, samples, operations, *shares = floats
        # Not what Python alone takes for a number, such as "1_000".
        if not all(text.isascii() and text.removeprefix("-").isdecimal() for text in integers):
            raise ValueError("a count is no integer")
        width, keep, recipe, repeat, *counts = map(int, integers)
        nonzeros, effective, trimmed = counts
        measures = (float(accuracy), float(samples), float(operations))
        choose, test = [float(share) if share else None for share in shares] or (None, None)
    except ValueError as error:
        raise ValueError(f"{path}, row {number}, is no run: {row}"[:300]) from error
    run = Run(method, width, keep, recipe, repeat)
    return RunResult(run, nonzeros, effective, trimmed, *measures, choose, test)
