"""Eliminations that differ in their seed alone, side by side."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from prunelimits.arguments import (
    checked_callable,
    checked_instance,
    checked_integer,
    checked_integers,
    checked_kept_file,
)
from prunelimits.elimination.config import Elimination
from prunelimits.elimination.eliminate import eliminate
from prunelimits.elimination.result import EliminationResult
from prunelimits.elimination.start import Start
from prunelimits.modes import in_plain_modes
from prunelimits.resuming.jobs import run_jobs
from prunelimits.training import Loss


@dataclass(frozen=True, eq=False)
class _Shared:
    """What eliminations of all seeds have in common."""

    x: Tensor
    y: Tensor
    method: Elimination | None
    target: float | None
    nonzeros: int | None
    start: Start | None
    loss: Loss | None
    measure: tuple[Tensor, Tensor] | None
    time_limit: float | None


@dataclass(frozen=True)
class _Job:
    seed: int
    store: Path | None


def _eliminate(shared: _Shared, job: _Job) -> tuple[int, EliminationResult]:
    result = eliminate(
        shared.x,
        shared.y,
        shared.method,
        target=shared.target,
        nonzeros=shared.nonzeros,
        start=shared.start,
        loss=shared.loss,
        measure=shared.measure,
        seed=job.seed,
        store=job.store,
        time_limit=shared.time_limit,
    )
    return job.seed, result


# The arguments of `eliminate`, and how the seeds are run.
@in_plain_modes
def eliminate_seeds(
    x: Tensor,
    y: Tensor,
    method: Elimination | None = None,
    *,
    seeds: Sequence[int],
    target: float | None = None,
    nonzeros: int | None = None,
    start: Start | None = None,
    loss: Loss | None = None,
    measure: tuple[Tensor, Tensor] | None = None,
    store: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    in_flight: int = 2,
    time_limit: float | None = None,
    on_result: Callable[[int, EliminationResult], object] | None = None,
) -> dict[int, EliminationResult]:
    """`eliminate` from every one of several seeds, on any executor.

    Each gives what `eliminate` gives with that seed, whatever runs beside it.

    Args:
        x: Inputs, `(n, inputs)`.
        y: Labels or targets.
        method: How. None: the defaults of `Elimination`.
        seeds: Different integers.
        target: Score to reach, see `eliminate`.
        nonzeros: Weights and biases to get down to.
        start: What all seeds start from; widths are initialised by each seed.
        loss: The training loss.
        measure: Other data to measure the score on.
        store: `kept.pt` keeps the state of seed 3 in `kept-3.pt`, which must be a place that the
            executor's workers reach. None: nothing is kept.
        executor: Where seeds run: any `concurrent.futures.Executor`. None: in this process.
        in_flight: How many seeds the executor holds at a time.
        time_limit: Seconds after which each seed begins no round.
        on_result: Called with a seed and what it gave, as soon as it is done.

    Returns:
        The results by seed, in the order of `seeds`.

    Raises:
        ValueError: If there is no seed or one is there twice, or as `eliminate` says.
        TypeError: If an argument is of another kind.
        StoreError: As `eliminate` says.
        WorkersLostError: If the executor lost its workers; what was kept is not lost.

    Examples:
        >>> from prunelimits.datasets import cubist_spiral
        >>> from prunelimits.training import Recipe
        >>> quick = Elimination(networks=4, dense=Recipe(epochs=1), recovery=Recipe(epochs=1))
        >>> data = cubist_spiral(1000)
        >>> results = eliminate_seeds(*data, quick, seeds=[3, 1], start=(2, 3, 1), nonzeros=6)
        >>> list(results), all(r.sparsest.nonzeros <= 6 for r in results.values())
        ([3, 1], True)
    """
    seeds = checked_integers("seeds", seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be different integers, at least one, got {seeds}")
    if executor is not None:
        checked_instance("executor", executor, Executor, "a concurrent.futures.Executor or None")
    in_flight = checked_integer("in_flight", in_flight, 1)
    if on_result is not None:
        checked_callable("on_result", on_result, "a function or None")
    path = None if store is None else checked_kept_file("store", store)
    shared = _Shared(x, y, method, target, nonzeros, start, loss, measure, time_limit)

    def jobs() -> Iterator[_Job]:
        for seed in seeds:
            yield _Job(seed, None if path is None else path.with_stem(f"{path.stem}-{seed}"))

    results: dict[int, EliminationResult] = {}
    for seed, result in run_jobs(
        _eliminate, shared, jobs(), key=uuid.uuid4().hex, executor=executor, in_flight=in_flight
    ):
        results[seed] = result
        if on_result is not None:
            on_result(seed, result)
    return {seed: results[seed] for seed in seeds}
