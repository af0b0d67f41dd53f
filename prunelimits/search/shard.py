"""A shard: a range of networks trained together by every recipe. Pure, so any process can do it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.masks import unflatten
from prunelimits.models import MLP, leading_block, parameter_shapes
from prunelimits.randomness import derive
from prunelimits.saving import to_bytes
from prunelimits.search.config import SearchConfig
from prunelimits.search.ranked_networks import AbstractSpace
from prunelimits.search.spaces import Phase
from prunelimits.training import (
    AbstractEngine,
    FitResult,
    MLPEnsemble,
    Recipe,
    default_engine,
    evaluate,
    fit,
)
from prunelimits.training.determination import determination
from prunelimits.training.task import Task

DIVERGED = -1
"""Stands for the number of correct samples of a network whose training diverged."""

STOPPED = -2
"""`STOPPED - n` stands for n correct samples of a training that halving stopped early."""


MILLIONTHS = 1_000_000
"""Of R², which stand for the correct samples of a network that predicts numbers."""


def most_correct(task: Task) -> int:
    """What a network has that is always right: the samples, or R² of 1."""
    return MILLIONTHS if task.loss == "mse" else len(task.measure_x)


@dataclass(frozen=True)
class ShardJob:
    """Which networks to train, and how; the data is the `Task` that goes with it.

    Attributes:
        config: The search.
        phase: What the phase goes through.
        shard: Which shard of it.
        engine: Who computes; None: the fastest.
    """

    config: SearchConfig
    phase: Phase
    shard: int
    engine: AbstractEngine | None


@dataclass(frozen=True)
class Candidate:
    """A trained network that is the best of its size, as far as its shard knows.

    Attributes:
        nonzeros: Weights and biases.
        correct: Samples classified right; millionths of R² for numbers to predict.
        rank: Position in its space.
        recipe: Position among the recipes.
        repeat: Position among the seeds.
        network: The file content that `prunelimits.saving` writes for it.
    """

    nonzeros: int
    correct: int
    rank: int
    recipe: int
    repeat: int
    network: bytes


@dataclass(frozen=True, eq=False)
class ShardResult:
    """What a shard found.

    Attributes:
        phase: What the phase goes through.
        shard: Which shard of it.
        correct: Samples classified right, `DIVERGED`, or `STOPPED` less the samples classified
            right when the training was stopped: int32 `(ranks, recipes, seeds)`.
        best: The most accurate network of every size that has one trained to the end.
        engine: The engine's name.
        seconds: Time taken.
    """

    phase: Phase
    shard: int
    correct: NDArray[np.int32]
    best: list[Candidate]
    engine: str
    seconds: float


def networks_per_shard(config: SearchConfig) -> int:
    """How many networks a shard holds, so that it has about `shard_size` trainings."""
    return max(1, config.shard_size // (len(config.recipes) * config.seeds))


def shard_ranks(config: SearchConfig, space: AbstractSpace, shard: int) -> range:
    """The ranks of a shard's networks."""
    size = networks_per_shard(config)
    return range(shard * size, min((shard + 1) * size, space.count))


def train_shard(task: Task, job: ShardJob) -> ShardResult:
    """Trains and measures every network of a shard, with `halving` not all of them to the end."""
    began = time.perf_counter()
    config = job.config
    space = job.phase.space(task.inputs, task.outputs)
    ranks = shard_ranks(config, space, job.shard)
    correct = np.empty((len(ranks), len(config.recipes), config.seeds), dtype=np.int32)
    trained: list[tuple[list[int], MLPEnsemble, Tensor]] = []
    engine = job.engine
    for recipes in _trainable_together(config):
        ensemble = initial_ensemble(task, job, ranks, recipes)
        engine = engine or default_engine(ensemble)
        each = [config.recipes[r] for _ in ranks for r in recipes for _ in range(config.seeds)]
        counts, members, ensemble = _train(task, config, ensemble, each, engine)
        correct[:, recipes] = counts.view(len(ranks), len(recipes), -1).numpy()
        trained.append((recipes, ensemble, members))
    best: list[Candidate] = []
    for i, j, k, size in _best_of_each_size(correct, space.nonzeros(ranks).numpy()):
        recipes, ensemble, members = next(group for group in trained if j in group[0])
        member = (i * len(recipes) + recipes.index(j)) * config.seeds + k
        place = int(torch.searchsorted(members, member))
        content = _network(ensemble, place, space.widths(ranks[i]))
        best.append(Candidate(size, int(correct[i, j, k]), ranks[i], j, k, content))
    return ShardResult(
        phase=job.phase,
        shard=job.shard,
        correct=correct,
        best=best,
        engine=engine.name if engine else "",
        seconds=time.perf_counter() - began,
    )


def _train(
    task: Task,
    config: SearchConfig,
    ensemble: MLPEnsemble,
    recipes: list[Recipe],
    engine: AbstractEngine,
) -> tuple[Tensor, Tensor, MLPEnsemble]:
    """Trains an ensemble from rung to rung of successive halving, without it to the end.

    Returns:
        `ShardResult.correct` of every member; the members that reached the end, ascending; and
        these, trained.
    """
    counts = torch.empty(len(ensemble), dtype=torch.int32, device="cpu")
    members = torch.arange(len(ensemble), device="cpu")
    steps_per_epoch = len(task.x) // recipes[0].batch_size
    start = 0
    for epochs, share in (*config.halving, (recipes[0].epochs, 1.0)):
        stop = epochs * steps_per_epoch
        result = fit(
            ensemble,
            task.x,
            task.y,
            [recipes[member] for member in members.tolist()],
            loss=task.loss,
            seed=config.seed,
            start=start,
            stop=stop,
            engine=engine,
        )
        correct = _correct(task, config, result, engine)
        counts[members] = correct
        kept = most_accurate(correct, share)
        members, ensemble, start = members[kept], result.ensemble[kept], stop
    # Diverged members stay recorded as such: STOPPED - DIVERGED == DIVERGED.
    recorded = STOPPED - counts
    recorded[members] = counts[members]
    return recorded, members, ensemble


def _correct(task: Task, config: SearchConfig, result: FitResult, engine: AbstractEngine) -> Tensor:
    """Samples that each member classifies right, or `DIVERGED`, int32 `(members,)`.

    For numbers to predict, the millionths of R², rounded down: what is below a target stays so.
    """
    if task.loss == "mse":
        errors = result.loss
        if config.held_out:
            errors = evaluate(
                result.ensemble, task.measure_x, task.measure_y, loss=task.loss, engine=engine
            ).loss
        explained = determination(errors, task.measure_y).nan_to_num(nan=0.0).clamp(min=0.0)
        millionths = (explained * MILLIONTHS).floor().int()
        return millionths.masked_fill(result.diverged, DIVERGED)
    accuracy = result.accuracy
    if config.held_out or config.margin:
        accuracy = evaluate(
            result.ensemble,
            task.measure_x,
            task.measure_y,
            loss=task.loss,
            engine=engine,
            margin=config.margin,
        ).accuracy
    correct = (accuracy * len(task.measure_x)).round().int()
    return correct.masked_fill(result.diverged, DIVERGED)


def most_accurate(correct: Tensor, share: float) -> Tensor:
    """Positions of the given share of the highest numbers, at least one, ascending.

    Of equal numbers the earlier ones, so that no choice is left to chance.
    """
    keep = max(1, round(share * len(correct)))
    return correct.sort(descending=True, stable=True).indices[:keep].sort().values


def _trainable_together(config: SearchConfig) -> list[list[int]]:
    """Positions of the recipes, grouped by what one `fit` must have in common."""
    groups: dict[tuple[int, int], list[int]] = {}
    for position, recipe in enumerate(config.recipes):
        groups.setdefault((recipe.epochs, recipe.batch_size), []).append(position)
    return list(groups.values())


def initial_ensemble(
    task: Task, job: ShardJob, ranks: range, recipes: Sequence[int]
) -> MLPEnsemble:
    """One member for every rank, recipe and repeat, in this order."""
    config = job.config
    space = job.phase.space(task.inputs, task.outputs)
    widths, flat = space.batch(ranks)
    members = len(recipes) * config.seeds
    masks = unflatten(flat.repeat_interleave(members, dim=0), parameter_shapes(widths))
    start = task.initial_block(widths, len(ranks) * members)
    if start is not None:
        return MLPEnsemble.from_params(widths, start, masks)
    keys = space.keys(ranks)[:, None, None]
    places = np.array(recipes)[:, None], np.arange(config.seeds)
    seeds = initial_seeds(config, job.phase, keys, *places).ravel()
    return MLPEnsemble(widths, seeds=seeds.tolist(), masks=masks, init_width=config.width)


def initial_seeds(
    config: SearchConfig,
    phase: Phase,
    keys: NDArray[np.int64],
    recipes: int | NDArray[np.int64],
    repeats: int | NDArray[np.int64],
) -> NDArray[np.uint64]:
    """The seeds of initialisations, for a network's key, a recipe's position and a repeat.

    A network's key is what it is, not where it stands in some space. The arguments are broadcast.
    """
    return derive(config.seed, phase.number, keys, recipes, repeats)


def _best_of_each_size(
    correct: NDArray[np.int32], sizes: NDArray[np.int64]
) -> list[tuple[int, int, int, int]]:
    """Place (rank, recipe, repeat) and size of the most accurate network of every size.

    The earliest of equally accurate ones, so that the best of several shards does not depend on
    the order in which they finish.
    """
    best: list[tuple[int, int, int, int]] = []
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        part = correct[members]
        i, j, k = (int(n) for n in np.unravel_index(part.argmax(), part.shape))
        if part[i, j, k] >= 0:
            best.append((int(members[i]), j, k, int(size)))
    return best


def _network(ensemble: MLPEnsemble, member: int, widths: Sequence[int]) -> bytes:
    """A member's file content, cut to its own widths."""
    model, masks = ensemble.member(member)
    params = leading_block(dict(model.named_parameters()), widths)
    masks = leading_block(masks, widths)
    with torch.no_grad():
        return to_bytes(MLP.from_params(widths, params), masks)
