"""Running a study: part after part, into a table that can be left and taken up at any time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

from torch import Tensor

from prunelimits.experiments.part import parts, train_part
from prunelimits.experiments.study import Run, Study
from prunelimits.experiments.table import RunResult, read_table, write_table
from prunelimits.models import MLP
from prunelimits.modes import in_plain_modes
from prunelimits.search.runner import run_jobs
from prunelimits.training.task import Task, make_task


@in_plain_modes
def run_study(
    study: Study,
    x: Tensor,
    y: Tensor,
    *,
    table: str | os.PathLike[str],
    initial: MLP | None = None,
    executor: Executor | None = None,
    in_flight: int = 1,
    time_limit: float | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> list[RunResult]:
    """Trains every run of a study that the table does not hold yet, and adds it there.

    The table is a small CSV file, written anew after each part: what is finished is kept however
    the process ends, and the same call goes on from there, on this machine or another one. It may
    hold runs of more widths, budgets and methods than the study.

    Args:
        study: What to run.
        x: Inputs, `(n, inputs)`.
        y: Labels, `(n,)`: 0 and 1, or integers from 0 up for more classes.
        table: The CSV file; it may exist.
        initial: A network that every run starts from, narrow ones from its leading block. None:
            each run from a random start.
        executor: Where to train; None: in this process.
        in_flight: How many parts the executor holds at a time.
        time_limit: Seconds after which no part is begun.
        on_progress: Called with the runs done and the runs in all, at first and after each part.

    Returns:
        The results of the study's runs that are there, in the order of the runs.

    Raises:
        ValueError: If data do not fit, the initial network is too narrow or of another depth, or
            the table is of a study with other recipes, seed, data, start or settings of a method.
        OSError: If the table cannot be read or written.
    """
    task = make_task(x, y, initial=initial)
    _check(study, task)
    described = _description(study, task)
    results: dict[Run, RunResult] = {}
    if Path(table).exists():
        kept, text = read_table(table)
        described = _joined(os.fspath(table), text, described)
        results = {result.run: result for result in kept}
    wanted = list(study.runs(task.inputs, task.outputs))
    began = time.monotonic()

    def tell() -> None:
        if on_progress is not None:
            on_progress(sum(run in results for run in wanted), len(wanted))

    tell()
    jobs = parts(study, task, results.keys())
    if time_limit is not None:
        jobs = (job for job in jobs if time.monotonic() - began < time_limit)
    for part in run_jobs(
        train_part, task, jobs, key=task.fingerprint(), executor=executor, in_flight=in_flight
    ):
        results.update({result.run: result for result in part})
        write_table(results.values(), table, study=json.dumps(described))
        tell()
    return [results[run] for run in wanted if run in results]


def _description(study: Study, task: Task) -> dict[str, str]:
    """What runs of one table have in common, and the settings of each method."""
    return {
        "data": task.fingerprint(),
        "seed": str(study.seed),
        "hidden_layers": str(study.hidden_layers),
        "recipes": "; ".join(map(repr, study.recipes)),
        **{type(pruner).__name__: repr(pruner) for pruner in study.methods},
    }


def _joined(table: str, text: str, ours: dict[str, str]) -> dict[str, str]:
    """Both descriptions together, if they agree.

    Raises:
        ValueError: If they do not.
    """
    try:
        theirs: dict[str, str] = dict(json.loads(text))
    except (ValueError, TypeError):
        theirs = {}
    if "data" not in theirs:
        raise ValueError(f"{table} does not say what study it is of: its first line is {text!r}")
    for name, value in ours.items():
        if theirs.get(name, value) != value:
            raise ValueError(
                f"{table} is of another study: its {name} is {theirs[name]}, here {value}"
            )
    return {**theirs, **ours}


def _check(study: Study, task: Task) -> None:
    """Raises for whatever could only fail later."""
    batch_size = study.recipes[0].batch_size
    if batch_size > len(task.x):
        raise ValueError(f"batch_size is {batch_size} but the data has {len(task.x)} samples")
    if task.initial is not None:
        needed, given = (
            study.network(max(study.widths), task.inputs, task.outputs),
            task.initial.widths,
        )
        ends = [(widths[0], widths[-1], len(widths)) for widths in (needed, given)]
        if ends[0] != ends[1] or min(given[1:-1]) < max(study.widths):
            raise ValueError(f"initial must have widths {needed} or wider hidden ones, got {given}")
    if not any(study.runs(task.inputs, task.outputs)):
        raise ValueError(f"budgets must leave something to prune, got {study.budgets}")
