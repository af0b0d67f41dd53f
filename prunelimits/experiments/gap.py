"""Running a study: part after part, into a table from which it can be resumed at any time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor

from torch import Tensor

from prunelimits.arguments import (
    checked_callable,
    checked_instance,
    checked_integer,
    checked_kept_file,
    checked_number,
    checked_sequence,
)
from prunelimits.datasets import Parts
from prunelimits.experiments.checks import check_fits
from prunelimits.experiments.kept import describe, read_kept
from prunelimits.experiments.part import parts, train_part
from prunelimits.experiments.study import Study
from prunelimits.experiments.table import RunResult, write_table
from prunelimits.models import MLP
from prunelimits.modes import in_plain_modes
from prunelimits.resuming import WriterLock
from prunelimits.resuming.jobs import run_jobs
from prunelimits.resuming.portion import checked_part, portion
from prunelimits.training import Loss
from prunelimits.training.task import Task, make_task, task_in_parts


# What to run is one value, `study`; the rest says on what and how, each by itself.
@in_plain_modes
def run_study(
    study: Study,
    x: Tensor,
    y: Tensor,
    *,
    table: str | os.PathLike[str],
    loss: Loss | None = None,
    choose: tuple[Tensor, Tensor] | None = None,
    test: tuple[Tensor, Tensor] | None = None,
    initial: MLP | None = None,
    executor: Executor | None = None,
    in_flight: int = 1,
    part: tuple[int, int] | None = None,
    time_limit: float | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> list[RunResult]:
    """Trains every run of a study that the table does not hold yet, and adds it there.

    The table is a small CSV file, written anew after each part: what is finished is kept however
    the process ends, and the same call goes on from there, on this machine or another one. It may
    hold runs of more widths, budgets and methods than the study. One study at a time writes to it.
    A method is known by its settings and, if it is your own, by its source code: once that is
    edited, runs of the old code are not taken for those of the new one.

    Args:
        study: What to run.
        x: Inputs, `(n, inputs)`.
        y: Labels, `(n,)`: 0 and 1, or integers from 0 up for more classes. With `loss="mse"`
            numbers to predict, `(n,)` or `(n, outputs)`; networks are then measured by their R²,
            see `RunResult`.
        table: The CSV file; it may exist.
        loss: `"mse"` for numbers. None: cross-entropy, for classes.
        choose: Validation inputs and labels, to choose the best of several runs by; only with
            `test`.
        test: Test inputs and labels, to measure the chosen run on. The table then has every run's
            accuracy on training, validation and test data; the choice is left to its reader.
        initial: A network that every run starts from, narrow ones from its leading block. None:
            each run from a random start.
        executor: Where to train; None: in this process.
        in_flight: How many parts the executor holds at a time.
        part: `(number, of)`: train only one of so many portions, for machines that share nothing;
            `merge_tables` joins what they leave.
        time_limit: Seconds after which nothing is begun; 0: read what is there.
        on_progress: Called with the runs done and the runs in all, of this portion, at first and
            whenever some are done.

    Returns:
        The results of the study's runs that are there, in the order of the runs.

    Raises:
        ValueError: If data do not fit, the initial network is too narrow or of another depth, the
            table is damaged, or a number is out of its range.
        TypeError: If an argument is of another kind.
        StoreError: If another study is writing to the table, or it is of a study with other
            recipes, seed, data, start, or settings or source of a method.
        OSError: If the table cannot be read or written.
    """
    time_limit, in_flight = _check_options(study, initial, in_flight, time_limit)
    part = checked_part(part)
    table = checked_kept_file("table", table)
    if executor is not None:
        checked_instance("executor", executor, Executor, "a concurrent.futures.Executor or None")
    if on_progress is not None:
        checked_callable("on_progress", on_progress, "a function or None")
    task = _task(x, y, choose, test, loss, initial)
    check_fits(study, task)
    ours = describe(study, task)
    wanted = list(study.runs(task.inputs, task.outputs))
    here = {run for some in portion(parts(study, task), part) for run in some.runs}
    results, _ = read_kept(table, ours)

    def tell() -> None:
        if on_progress is not None:
            on_progress(sum(run in results for run in here), len(here))

    tell()
    if all(run in results for run in here) or time_limit == 0:
        return [results[run] for run in wanted if run in results]
    began = time.monotonic()
    with WriterLock(table):
        # Another study may have added to it meanwhile.
        results, described = read_kept(table, ours)
        jobs = parts(study, task, results.keys() | (set(wanted) - here))
        if time_limit is not None:
            jobs = (job for job in jobs if time.monotonic() - began < time_limit)
        for finished in run_jobs(
            train_part, task, jobs, key=task.fingerprint(), executor=executor, in_flight=in_flight
        ):
            results.update({result.run: result for result in finished})
            write_table(results.values(), table, study=json.dumps(described))
            tell()
    return [results[run] for run in wanted if run in results]


def _task(
    x: Tensor, y: Tensor, choose: object, test: object, loss: Loss | None, initial: MLP | None
) -> Task:
    if choose is None and test is None:
        return make_task(x, y, loss=loss, initial=initial)
    pairs: list[tuple[Tensor, Tensor]] = []
    for name, value in (("choose", choose), ("test", test)):
        if value is None:
            raise ValueError("choose and test must be given together, got one of them alone")
        pair = checked_sequence(name, value, "two tensors, inputs and labels")
        if len(pair) != 2:
            raise ValueError(f"{name} must be two tensors, inputs and labels, got {len(pair)}")
        pairs.append(pair)
    return task_in_parts(Parts((x, y), *pairs), loss=loss, initial=initial)


def _check_options(
    study: object, initial: object, in_flight: object, time_limit: object
) -> tuple[float | None, int]:
    checked_instance("study", study, Study, "a prunelimits.experiments.Study")
    if initial is not None:
        checked_instance("initial", initial, MLP, "a prunelimits.MLP or None")
    if time_limit is not None:
        time_limit = checked_number("time_limit", time_limit, least=0)
    return time_limit, checked_integer("in_flight", in_flight, 1)
