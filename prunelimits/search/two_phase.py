"""The combinatorial search: structured widths first, then the masks of the best of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal, TypeAlias, get_args

import numpy as np
from torch import Tensor

from prunelimits.models import MLP, leading_block
from prunelimits.randomness import derive
from prunelimits.search.config import SearchConfig
from prunelimits.search.results import SearchResult, read_result
from prunelimits.search.runner import run_jobs
from prunelimits.search.shard import (
    DIVERGED,
    ShardJob,
    ShardResult,
    networks_per_shard,
    shard_ranks,
    train_shard,
)
from prunelimits.search.spaces import Phase, make_space
from prunelimits.search.store import Store
from prunelimits.training import AbstractEngine
from prunelimits.training.task import Task, make_task

Order: TypeAlias = Literal["fewest", "shuffled"]


@dataclass(frozen=True)
class Progress:
    """How far a phase is.

    Attributes:
        phase: 1 or 2.
        widths: Of phase two; None in phase one, and for every widths at once.
        trained: Trainings done, earlier runs included.
        trainings: Trainings in the whole phase.
        nonzeros: Of the best network so far: the smallest that reaches the target, or the most
            accurate while none does. None before anything was trained.
        accuracy: Its accuracy.
    """

    phase: Phase
    widths: tuple[int, ...] | None
    trained: int
    trainings: int
    nonzeros: int | None
    accuracy: float | None


def combinatorial_search(
    config: SearchConfig,
    x: Tensor,
    y: Tensor,
    *,
    store: str | os.PathLike[str] | None = None,
    initial: MLP | None = None,
    executor: Executor | None = None,
    in_flight: int = 32,
    engine: AbstractEngine | None = None,
    order: Order = "fewest",
    stop_at_target: bool = False,
    first_phase_only: bool = False,
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
        y: Labels `(n,)`: 0 and 1, or integers from 0 up for more classes.
        store: The file that keeps the results. None: nothing is kept but what is returned.
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
    if order not in get_args(Order):
        raise ValueError(f"order must be one of {', '.join(get_args(Order))}, got {order!r}")
    if in_flight < 1:
        raise ValueError(f"in_flight must be at least 1, got {in_flight}")
    if first_phase_only and (config.widths is not None or config.every_widths):
        raise ValueError("first_phase_only cannot be combined with widths or every_widths")
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be positive, got {time_limit}")
    task = make_task(x, y, held_out=config.held_out, seed=config.seed, initial=initial)
    _check(config, task)
    deadline = time.monotonic() + time_limit if time_limit is not None else None
    with Store(store, write=True) as opened:
        opened.describe({"search": config.to_json(), "data": _describe(task)})

        def run(phase: Phase, widths: tuple[int, ...] | None) -> _Stage:
            stage = _Stage(opened, config, task, phase, widths, stop_at_target)
            shards = stage.remaining(order, deadline)
            report(stage)
            jobs = (ShardJob(config, task, phase, widths, n, engine) for n in shards)
            for result in run_jobs(train_shard, jobs, executor=executor, in_flight=in_flight):
                opened.add(result, version("prunelimits"))
                stage.update(result)
                report(stage)
            return stage

        def report(stage: _Stage) -> None:
            if on_progress is not None:
                on_progress(stage.progress())

        if config.every_widths:
            run(2, None)
        else:
            widths = config.widths or run(1, None).winner()
            if widths is not None and not first_phase_only:
                run(2, widths)
        return read_result(opened)


class _Stage:
    """One phase under way: which shards are left, and the best networks so far."""

    def __init__(
        self,
        store: Store,
        config: SearchConfig,
        task: Task,
        phase: Phase,
        widths: tuple[int, ...] | None,
        stop_at_target: bool,
    ) -> None:
        self.config, self.stop_at_target = config, stop_at_target
        self.phase: Phase = phase
        self.samples = len(task.measure_x)
        self.space = make_space(config, task.inputs, task.outputs, phase, widths)
        self.shards = range(-(-self.space.count // networks_per_shard(config)))
        store.begin_phase(phase, widths)
        self.widths = widths
        self.finished = store.finished(phase)
        self.trained = sum(self._trainings(shard) for shard in self.finished)
        # Nonzeros -> correct samples and rank of the most accurate network of that size.
        self.best = {c.nonzeros: (c.correct, c.rank) for c in store.best(phase)}

    def remaining(self, order: Order, deadline: float | None) -> Iterator[int]:
        """The shards to train, decided one by one as the work goes on."""
        shards: Sequence[int] = self.shards
        if order == "shuffled":
            generator = np.random.default_rng(int(derive(self.config.seed, -2, self.phase)[0]))
            shards = generator.permutation(len(self.shards)).tolist()
        for shard in shards:
            if deadline is not None and time.monotonic() >= deadline:
                return
            if shard not in self.finished and not self._superfluous(shard):
                yield shard

    def update(self, result: ShardResult) -> None:
        self.finished.add(result.shard)
        self.trained += self._trainings(result.shard)
        for new in result.best:
            correct, rank = self.best.get(new.nonzeros, (DIVERGED, 0))
            if (-new.correct, new.rank) < (-correct, rank):
                self.best[new.nonzeros] = (new.correct, new.rank)

    def winner(self) -> tuple[int, ...] | None:
        """The widths of the smallest network at the target, None while it is not certain."""
        certain = all(n in self.finished or self._superfluous(n) for n in self.shards)
        size = self._smallest()
        return self.space.widths(self.best[size][1]) if certain and size is not None else None

    def progress(self) -> Progress:
        size = self._smallest()
        if size is None:
            size = max(self.best, key=lambda n: (self.best[n][0], -n), default=None)
        return Progress(
            phase=self.phase,
            widths=self.widths,
            trained=self.trained,
            trainings=self.space.count * self._trainings_each,
            nonzeros=size,
            accuracy=None if size is None else self.best[size][0] / self.samples,
        )

    def _smallest(self) -> int | None:
        """Nonzeros of the smallest network that reaches the target, None while there is none."""
        target = self.config.target
        reaching = (n for n, (correct, _) in self.best.items() if correct / self.samples >= target)
        return min(reaching, default=None)

    def _superfluous(self, shard: int) -> bool:
        """Whether every network of the shard is larger than one that reaches the target."""
        if not self.stop_at_target or (best := self._smallest()) is None:
            return False
        first = shard_ranks(self.config, self.space, shard)[:1]
        return int(self.space.nonzeros(first)) > best

    @property
    def _trainings_each(self) -> int:
        return len(self.config.recipes) * self.config.seeds

    def _trainings(self, shard: int) -> int:
        return len(shard_ranks(self.config, self.space, shard)) * self._trainings_each


def _describe(task: Task) -> str:
    content = {
        "inputs": task.inputs,
        "outputs": task.outputs,
        "samples": len(task.measure_x),
        "sha256": task.fingerprint(),
    }
    return json.dumps(content, sort_keys=True)


def _check(config: SearchConfig, task: Task) -> None:
    """Raises for whatever could only fail later, so that no store is made in vain."""
    for recipe in config.recipes:
        if recipe.batch_size > len(task.x):
            raise ValueError(
                f"batch_size is {recipe.batch_size} but there are {len(task.x)} training samples"
            )
    widths = config.widths
    if widths is not None and (widths[0], widths[-1]) != (task.inputs, task.outputs):
        raise ValueError(
            f"widths must start with {task.inputs} and end with {task.outputs} for this data, "
            f"got {widths}"
        )
    if task.initial is not None:
        if config.seeds > 1:
            raise ValueError(f"seeds must be 1 with a shared initialisation, got {config.seeds}")
        if config.symmetry == "network":
            raise ValueError(
                "symmetry must be 'layer' with a shared initialisation, which tells hidden units "
                "apart, got 'network'"
            )
        hidden = [config.width] * config.hidden_layers
        needed = widths or (task.inputs, *hidden, task.outputs)
        leading_block(dict(task.initial.named_parameters()), needed)
    phase: Phase = 1 if widths is None and not config.every_widths else 2
    space = make_space(config, task.inputs, task.outputs, phase, widths)
    if space.count == 0:
        raise ValueError(
            f"no network of widths {widths} has {config.min_nonzeros or 0} to "
            f"{config.max_nonzeros} nonzeros: change min_nonzeros or max_nonzeros"
        )
