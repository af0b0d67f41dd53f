"""The combinatorial search: structured widths first, then the masks of the best of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor
from importlib.metadata import version
from itertools import pairwise
from typing import get_args

from torch import Tensor

from prunelimits.arguments import (
    checked_callable,
    checked_choice,
    checked_flag,
    checked_instance,
    checked_integer,
    checked_kept_file,
    checked_number,
)
from prunelimits.datasets.ceiling import check_reachable
from prunelimits.models import MLP
from prunelimits.modes import in_plain_modes
from prunelimits.resuming.jobs import run_jobs
from prunelimits.resuming.portion import checked_part
from prunelimits.search.config import SearchConfig
from prunelimits.search.found import SearchResult
from prunelimits.search.phase_under_way import Order, PhaseUnderWay, Progress, listed_space
from prunelimits.search.results import read_result
from prunelimits.search.shard import ShardJob, train_shard
from prunelimits.search.spaces import EveryWidths, Phase, StructuredWidths
from prunelimits.search.store import Store
from prunelimits.training import AbstractEngine, Loss
from prunelimits.training.margins import checked_margin
from prunelimits.training.plan import check_batch_size
from prunelimits.training.task import Task, make_task


# Most callers name what to search for and where to keep it; the rest says how to run.
@in_plain_modes
def combinatorial_search(
    config: SearchConfig,
    x: Tensor,
    y: Tensor,
    *,
    store: str | os.PathLike[str] | None = None,
    loss: Loss | None = None,
    initial: MLP | None = None,
    executor: Executor | None = None,
    in_flight: int = 32,
    engine: AbstractEngine | None = None,
    order: Order = "fewest",
    stop_at_target: bool = False,
    first_phase_only: bool = False,
    part: tuple[int, int] | None = None,
    time_limit: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> SearchResult:
    """Searches for the sparsest network that reaches the target accuracy.

    Algorithm 1 of [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075). The work is
    cut into shards of `config.shard_size` trainings. Each is one transaction in the store, so a
    search that was interrupted, even killed, goes on where it was when it is called again, and
    ends with the same result.

    Args:
        config: What to search for.
        x: Inputs, `(n, inputs)`.
        y: Labels `(n,)`: 0 and 1, or integers from 0 up for more classes. With `loss="mse"`
            numbers to predict, `(n,)` or `(n, outputs)`; networks are then measured by their R²,
            the share of the numbers' variance that they explain: to a millionth, 0 where below.
        store: The file that keeps the results. None: nothing is kept but what is returned.
        loss: `"mse"` for numbers. None: cross-entropy, for classes.
        initial: A network at least as wide as `config.width`: every training starts from its
            leading block (Section 7.1) instead of an initialisation of its own.
        executor: Where shards are trained: any `concurrent.futures.Executor`, such as a process
            pool or `dask.distributed.Client(...).get_executor()`. None: in this process.
        in_flight: How many shards the executor holds at a time.
        engine: Who trains. None: the fastest.
        order: `"fewest"`: nonzeros first, so that a search that is stopped has answered the small
            sizes; `"shuffled"`: a sample of all sizes first.
        stop_at_target: Leave out networks larger than one that reaches the target.
        first_phase_only: End with phase one, whose winner `config.widths` can name elsewhere.
        part: `(number, of)`: train only one of so many portions of every phase's shards, for
            machines that share nothing. `merge_stores` joins what they leave; phase two begins in
            a store that holds all of phase one.
        time_limit: Seconds after which no more shards are begun.
        on_progress: Called when a phase begins and after every shard.

    Returns:
        The state of the search, complete or not, as `read_result` reads it from the store.

    Raises:
        ValueError: If data, widths and options do not fit each other.
        StoreError: If the store is damaged, in use, or belongs to another search.

    Examples:
        >>> from prunelimits.datasets import cubist_spiral
        >>> from prunelimits.training import Recipe
        >>> config = SearchConfig(target=0.6, widths=(2, 2, 1), recipes=(Recipe(epochs=1),))
        >>> result = combinatorial_search(config, *cubist_spiral(1000))
        >>> [(size.nonzeros, size.networks) for size in result.phases[0].sizes]
        [(7, 1), (8, 2), (9, 1)]
    """
    _check_options(config, order, in_flight, stop_at_target, first_phase_only, time_limit)
    if engine is not None:
        checked_instance("engine", engine, AbstractEngine, "an engine or None")
    if executor is not None:
        checked_instance("executor", executor, Executor, "a concurrent.futures.Executor or None")
    if on_progress is not None:
        checked_callable("on_progress", on_progress, "a function or None")
    part = checked_part(part)
    if store is not None:
        store = checked_kept_file("store", store)
    task = make_task(x, y, loss=loss, held_out=config.held_out, seed=config.seed, initial=initial)
    _check_task(config, task)
    key = task.fingerprint()
    deadline = time.monotonic() + time_limit if time_limit is not None else None
    with Store(store, write=True) as opened:
        opened.describe({"search": config.to_json(), "data": _describe(task)})
        # A damaged store is found before anything is trained.
        read_result(opened)

        def run(phase: Phase) -> PhaseUnderWay:
            under_way = PhaseUnderWay(opened, config, task, phase, stop_at_target, part)
            report(under_way)
            jobs = (
                ShardJob(config, phase, shard, engine)
                for shard in under_way.remaining(order, deadline)
            )
            for result in run_jobs(
                train_shard, task, jobs, key=key, executor=executor, in_flight=in_flight
            ):
                opened.add(result, version("prunelimits"))
                under_way.update(result)
                report(under_way)
            return under_way

        def report(under_way: PhaseUnderWay) -> None:
            if on_progress is not None:
                on_progress(under_way.progress())

        first = run(config.first_phase)
        winner = first.winner() if isinstance(first.phase, StructuredWidths) else None
        if winner is not None and not first_phase_only:
            run(config.masks_of(winner))
        return read_result(opened)


def _describe(task: Task) -> str:
    content: dict[str, int | str | None] = {
        "d_in": task.inputs,
        "d_out": task.outputs,
        "samples": len(task.measure_x),
        "sha256": task.fingerprint(),
        "initial": task.initial_fingerprint(),
    }
    # Only here: stores of classes stay what they were before there were numbers to predict.
    if task.loss == "mse":
        content["loss"] = task.loss
    return json.dumps(content, sort_keys=True)


def _check_options(
    config: SearchConfig,
    order: Order,
    in_flight: int,
    stop_at_target: bool,
    first_phase_only: bool,
    time_limit: float | None,
) -> None:
    checked_instance("config", config, SearchConfig, "a SearchConfig")
    checked_choice("order", order, get_args(Order))
    checked_integer("in_flight", in_flight, 1)
    checked_flag("stop_at_target", stop_at_target)
    if checked_flag("first_phase_only", first_phase_only) and config.first_phase.number != 1:
        raise ValueError("first_phase_only cannot be combined with widths or every_widths")
    if time_limit is not None:
        checked_number("time_limit", time_limit, above=0)


def _check_task(config: SearchConfig, task: Task) -> None:
    """Raises for whatever could only fail later, so that no store is made in vain."""
    numbers = task.loss == "mse"
    check_reachable(config.target, task.measure_x, task.measure_y, numbers=numbers)
    checked_margin(config.margin, task.loss)
    for recipe in config.recipes:
        check_batch_size(recipe.batch_size, len(task.x))
    if task.initial is not None:
        _check_initial(config, task, task.initial)
    phase = config.first_phase
    if isinstance(phase, EveryWidths):
        widest = phase.widest(task.inputs, task.outputs)
        if widest > config.width:
            raise ValueError(
                f"width must be at least {widest}, the widest hidden layer among the networks of "
                f"at most {phase.max_nonzeros} nonzeros, got {config.width}"
            )
    if listed_space(phase, task).count == 0:
        if isinstance(phase, StructuredWidths):
            smallest = (task.inputs, *[1] * phase.hidden_layers, task.outputs)
            least = sum((d_in + 1) * d_out for d_in, d_out in pairwise(smallest))
            raise ValueError(
                f"first_phase_max_nonzeros must be at least {least}, the weights and biases of the "
                f"smallest widths, got {phase.max_nonzeros}"
            )
        raise ValueError(
            f"there are no {phase} with {config.min_nonzeros or 0} to {config.max_nonzeros} "
            "nonzeros: change min_nonzeros or max_nonzeros"
        )


def _check_initial(config: SearchConfig, task: Task, initial: MLP) -> None:
    """Raises if not every network of the search can begin from the initial one."""
    if config.seeds > 1:
        raise ValueError(f"seeds must be 1 with a shared initialisation, got {config.seeds}")
    if config.symmetry == "network":
        raise ValueError(
            "symmetry must be 'layer' with a shared initialisation, which tells hidden units "
            "apart, got 'network'"
        )
    if (initial.widths[0], initial.widths[-1]) != (task.inputs, task.outputs):
        raise ValueError(
            f"initial must have {task.inputs} inputs and {task.outputs} outputs for this data, "
            f"got widths {initial.widths}"
        )
    hidden = [config.width] * config.hidden_layers
    needed = tuple(config.widths or (task.inputs, *hidden, task.outputs))
    given = initial.widths
    if len(given) != len(needed) or any(map(int.__lt__, given, needed)):
        raise ValueError(
            f"initial must have widths {needed} or wider hidden ones, got {initial.widths}"
        )
