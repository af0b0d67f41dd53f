"""Successive halving against full trainings of every network, chosen from by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prunelimits.saving import from_bytes
from prunelimits.search import (
    SearchConfig,
    Store,
    StoreError,
    combinatorial_search,
    make_task,
    read_result,
)
from prunelimits.search.shard import (
    DIVERGED,
    STOPPED,
    ShardJob,
    initial_ensemble,
    most_accurate,
    shard_ranks,
    train_shard,
)
from prunelimits.training import AbstractEngine, MLPEnsemble, Recipe, TorchEngine, evaluate, fit
from prunelimits.training.native_engine import NativeEngine, available
from prunelimits.training.task import Task

Data = tuple[Tensor, Tensor]
Job = tuple[Task, ShardJob]

HALVING = ((1, 0.5), (3, 0.3))
RECIPES = (
    Recipe(epochs=4, batch_size=50, lr=0.1, schedule="cosine"),
    Recipe(epochs=4, batch_size=50, lr=0.05, schedule="step"),
)


@pytest.fixture
def engine() -> AbstractEngine:
    """Only the native engine promises that a network's neighbours change no bit of it."""
    if not available():
        pytest.skip("installed without the native engine")
    return NativeEngine()


@pytest.fixture
def halved(config: SearchConfig) -> SearchConfig:
    """104 networks in shards of 12, each trained twice by two recipes."""
    return dataclasses.replace(config, recipes=RECIPES, halving=HALVING, shard_size=48)


def job(config: SearchConfig, data: Data, engine: AbstractEngine, shard: int = 1) -> Job:
    task = make_task(*data, held_out=config.held_out, seed=config.seed)
    return task, ShardJob(config, config.first_phase, shard, engine)


def alone(one: Job, member: int, recipes: list[int], epochs: int) -> tuple[MLPEnsemble, int]:
    """One training, by itself and in one go, until the end of an epoch; -1 where it diverged."""
    task, job = one
    config, engine = job.config, job.engine
    space = job.phase.space(task.inputs, task.outputs)
    start = initial_ensemble(task, job, shard_ranks(config, space, job.shard), recipes)
    recipe = config.recipes[recipes[member // config.seeds % len(recipes)]]
    stop = epochs * (len(task.x) // recipe.batch_size)
    ensemble = start[member : member + 1]
    trained = fit(ensemble, task.x, task.y, recipe, seed=config.seed, stop=stop, engine=engine)
    measured = evaluate(trained.ensemble, task.measure_x, task.measure_y, engine=engine)
    correct = round(float(measured.accuracy[0]) * len(task.measure_x))
    return trained.ensemble, -1 if trained.diverged else correct


def by_hand(one: Job, recipes: list[int]) -> list[int]:
    """What halving must record for every training by these recipes."""
    task, job = one
    config = job.config
    end = config.recipes[recipes[0]].epochs
    space = job.phase.space(task.inputs, task.outputs)
    running = list(range(len(shard_ranks(config, space, job.shard)) * len(recipes) * config.seeds))
    recorded: dict[int, int] = {}
    for epochs, share in config.halving:
        correct = {member: alone(one, member, recipes, epochs)[1] for member in running}
        ranking = sorted(running, key=lambda member: (-correct[member], member))
        number = max(1, round(share * len(running)))
        for member in ranking[number:]:
            recorded[member] = -1 if correct[member] == -1 else -2 - correct[member]
        running = ranking[:number]
    recorded |= {member: alone(one, member, recipes, end)[1] for member in running}
    return [recorded[member] for member in sorted(recorded)]


@pytest.mark.parametrize("held_out", [0.0, 0.25])
def test_a_shard_goes_on_with_the_best(
    halved: SearchConfig, data: Data, engine: AbstractEngine, held_out: float
):
    one = job(dataclasses.replace(halved, held_out=held_out), data, engine)
    result = train_shard(*one)
    assert result.correct.ravel().tolist() == by_hand(one, [0, 1])
    # 48 trainings, then 24, then 7.
    assert (result.correct >= 0).sum() == 7


def test_what_runs_to_the_end_is_the_same_to_the_last_bit(
    halved: SearchConfig, data: Data, engine: AbstractEngine
):
    one = job(halved, data, engine)
    result = train_shard(*one)
    full = train_shard(*job(dataclasses.replace(halved, halving=()), data, engine))
    ended = result.correct >= 0
    assert np.array_equal(result.correct[ended], full.correct[ended])
    assert (full.correct >= 0).all()
    assert result.best
    ranks = shard_ranks(halved, halved.first_phase.space(2, 1), 1)
    for found in result.best:
        model, _ = from_bytes(found.network, "candidate")
        member = (ranks.index(found.rank) * 2 + found.recipe) * 2 + found.repeat
        expected, correct = alone(one, member, [0, 1], 4)
        assert found.correct == correct
        for name, value in model.state_dict().items():
            assert torch.equal(value, expected.params[name][0])


def test_recipes_that_train_apart_compete_apart(data: Data, engine: AbstractEngine):
    recipes = (Recipe(epochs=3, batch_size=30), Recipe(epochs=4, batch_size=50, lr=0.1))
    config = SearchConfig(
        target=0.6, widths=(2, 3, 1), recipes=recipes, seeds=3, halving=((2, 0.4),), shard_size=24
    )
    one = job(config, data, engine, shard=0)
    correct = train_shard(*one).correct
    for recipe in (0, 1):
        assert correct[:, recipe].ravel().tolist() == by_hand(one, [recipe])


def test_divergence_is_told_from_an_early_stop(data: Data, engine: AbstractEngine):
    sane = Recipe(epochs=2, batch_size=30)
    recipes = (dataclasses.replace(sane, lr=1e12, weight_decay=1.0), sane)
    config = SearchConfig(
        target=0.6, widths=(2, 2, 1), recipes=recipes, halving=((1, 0.25),), shard_size=8
    )
    one = job(config, data, engine, shard=0)
    correct = train_shard(*one).correct
    assert correct.ravel().tolist() == by_hand(one, [0, 1])
    assert (correct[:, 0] == DIVERGED).all()
    assert ((correct <= STOPPED).sum(), (correct >= 0).sum()) == (2, 2)


def test_the_torch_engine_stops_as_many(halved: SearchConfig, data: Data):
    correct = train_shard(*job(halved, data, TorchEngine())).correct
    assert ((correct <= STOPPED).sum(), (correct >= 0).sum()) == (41, 7)


@settings(max_examples=200)
@given(
    st.lists(st.integers(-1, 5), min_size=1, max_size=30),
    st.floats(0.0, 1.0, exclude_min=True),
)
def test_the_best_share_is_that_of_a_sorted_list(numbers: list[int], share: float):
    ranking = sorted(range(len(numbers)), key=lambda place: (-numbers[place], place))
    expected = sorted(ranking[: max(1, round(share * len(numbers)))])
    assert most_accurate(torch.tensor(numbers), share).tolist() == expected


def test_a_stopped_training_never_reaches_the_target(
    halved: SearchConfig, data: Data, tmp_path: Path
):
    # So low that every training is above it at its first rung.
    easy = dataclasses.replace(halved, target=0.01)
    path = tmp_path / "halved.sqlite"
    result = combinatorial_search(easy, *data, store=path)
    (phase,) = result.phases
    assert phase.trained == phase.trainings == 416
    # Eight shards of 48 and one of 32, of which 16, then 5 go on.
    assert sum(size.stopped for size in phase.sizes) == 8 * 41 + 27
    for size in phase.sizes:
        assert size.reached == size.trainings - size.stopped
        assert (size.accuracy > 0) == (size.reached > 0)
    assert {size.nonzeros for size in phase.sizes if size.reached} == {
        network.nonzeros for network in result.best
    }
    with Store(path, write=False) as store:
        again = read_result(store, target=0.5)
    assert again.config.halving == HALVING
    assert all(size.reached <= size.trainings - size.stopped for size in again.phases[0].sizes)


def test_other_rungs_are_another_search(halved: SearchConfig, data: Data, tmp_path: Path):
    path = tmp_path / "halved.sqlite"
    combinatorial_search(halved, *data, store=path, time_limit=1e-9)
    for halving in ((), ((1, 0.25), (3, 0.3))):
        with pytest.raises(StoreError, match="halving is"):
            combinatorial_search(
                dataclasses.replace(halved, halving=halving), *data, store=path, time_limit=1e-9
            )


@pytest.mark.parametrize(
    ("halving", "error", "message"),
    [
        (((0, 0.5),), ValueError, "halving's epochs must be at least 1, got 0"),
        (((2, 0.5), (2, 0.5)), ValueError, "halving's epochs must be at least 3, got 2"),
        (((1.5, 0.5),), TypeError, "halving's epochs must be an integer, got 1.5"),
        (((1, 0.0),), ValueError, "halving's share must be above 0 and below 1, got 0.0"),
        (((1, 1.0),), ValueError, "halving's share must be above 0 and below 1, got 1.0"),
        (((1, float("nan")),), ValueError, "halving's share must be"),
        (((4, 0.5),), ValueError, "halving must end before the 4 epochs of a training, got 4"),
    ],
)
def test_rungs_are_checked(
    halving: tuple[tuple[int, float], ...], error: type[Exception], message: str
):
    recipes = (*RECIPES, Recipe(epochs=6))
    with pytest.raises(error, match=message):
        SearchConfig(target=0.9, recipes=recipes, halving=halving)


def test_rungs_survive_json():
    config = SearchConfig(target=0.9, halving=HALVING)
    assert SearchConfig.from_json(config.to_json()) == config
