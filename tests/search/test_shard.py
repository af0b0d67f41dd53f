"""A shard against the same trainings one network at a time."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from prunelimits.masks import count, unflatten
from prunelimits.models import leading_block, parameter_shapes
from prunelimits.randomness import derive
from prunelimits.saving import from_bytes
from prunelimits.search import SearchConfig, make_task
from prunelimits.search.shard import DIVERGED, ShardJob, ShardResult, shard_ranks, train_shard
from prunelimits.training import MLPEnsemble, Recipe, TorchEngine, evaluate, fit
from prunelimits.training.task import Task

ENGINE = TorchEngine()
Job = tuple[Task, ShardJob]


def job(config: SearchConfig, data: tuple[Tensor, Tensor], shard: int, **task: object) -> Job:
    made = make_task(*data, held_out=config.held_out, seed=config.seed, **task)
    return made, ShardJob(config, config.first_phase, shard, ENGINE)


def alone(one: Job, rank: int, recipe: int, repeat: int) -> tuple[MLPEnsemble, int]:
    """One network of a shard in an ensemble of its own, with its own widths."""
    task, job = one
    config = job.config
    space = job.phase.space(task.inputs, task.outputs)
    widths = space.widths(rank)
    _, flat = space.batch([rank])
    masks = unflatten(flat[0], parameter_shapes(widths))
    key = int(space.keys([rank])[0])
    seed = int(derive(config.seed, job.phase.number, key, recipe, repeat)[0])
    ensemble = MLPEnsemble(widths, seeds=[seed], masks=masks, init_width=config.width)
    if task.initial is not None:
        start = leading_block(task.initial.state_dict(), widths)
        stacked = {name: value[None] for name, value in start.items()}
        ensemble = MLPEnsemble.from_params(widths, stacked, masks)
    trained = fit(ensemble, task.x, task.y, config.recipes[recipe], seed=config.seed, engine=ENGINE)
    measured = evaluate(trained.ensemble, task.measure_x, task.measure_y, engine=ENGINE)
    return trained.ensemble, round(float(measured.accuracy[0]) * len(task.measure_x))


def check(one: Job, result: ShardResult) -> None:
    task, job = one
    space = job.phase.space(task.inputs, task.outputs)
    ranks = shard_ranks(job.config, space, job.shard)
    best: dict[int, tuple[int, int, int, int]] = {}
    for i, rank in enumerate(ranks):
        size = int(space.nonzeros([rank])[0])
        for j in range(len(job.config.recipes)):
            for k in range(job.config.seeds):
                ensemble, correct = alone(one, rank, j, k)
                # Float rounding may tip a sample that lies on the boundary.
                assert abs(int(result.correct[i, j, k]) - correct) <= 1
                entry = (-int(result.correct[i, j, k]), rank, j, k)
                best[size] = min(best.get(size, entry), entry)
    found = {c.nonzeros: (-c.correct, c.rank, c.recipe, c.repeat) for c in result.best}
    assert found == best
    for candidate in result.best:
        model, masks = from_bytes(candidate.network, "candidate")
        ensemble, _ = alone(one, candidate.rank, candidate.recipe, candidate.repeat)
        assert model.widths == space.widths(candidate.rank)
        assert count(masks) == candidate.nonzeros
        for name, value in model.state_dict().items():
            torch.testing.assert_close(value, ensemble.params[name][0], rtol=1e-4, atol=1e-5)
            assert torch.equal(masks[name], ensemble.masks[name][0])


@pytest.mark.parametrize("shard", [0, 2])
def test_masks_train_as_they_do_alone(
    config: SearchConfig, data: tuple[Tensor, Tensor], shard: int
):
    one = job(config, data, shard)
    check(one, train_shard(*one))


def test_widths_train_as_they_do_alone(config: SearchConfig, data: tuple[Tensor, Tensor]):
    narrow = dataclasses.replace(config, widths=None, hidden_layers=2, width=3)
    one = job(narrow, data, 1)
    check(one, train_shard(*one))


def test_networks_of_several_widths_train_as_they_do_alone(
    config: SearchConfig, data: tuple[Tensor, Tensor]
):
    every = dataclasses.replace(config, widths=None, every_widths=True, max_nonzeros=15, width=8)
    one = job(every, data, 4)
    space = every.first_phase.space(2, 1)
    assert len({space.widths(rank) for rank in shard_ranks(every, space, 4)}) > 1
    check(one, train_shard(*one))


def test_recipes_of_different_length_go_into_one_shard(data: tuple[Tensor, Tensor]):
    recipes = (Recipe(epochs=1, batch_size=30), Recipe(epochs=2, batch_size=50, lr=0.1))
    config = SearchConfig(target=0.6, widths=(2, 2, 1), recipes=recipes, seeds=2, shard_size=12)
    one = job(config, data, 0)
    check(one, train_shard(*one))


def test_accuracy_is_measured_on_held_out_samples(
    config: SearchConfig, data: tuple[Tensor, Tensor]
):
    one = job(dataclasses.replace(config, held_out=0.25), data, 0)
    assert len(one[0].measure_x) == 75
    assert len(one[0].x) == 225
    check(one, train_shard(*one))


def test_every_network_starts_from_a_shared_initialisation(
    config: SearchConfig, data: tuple[Tensor, Tensor]
):
    initial = MLPEnsemble((2, 4, 4, 1), seeds=[7]).member(0)[0]
    one = job(dataclasses.replace(config, seeds=1), data, 1, initial=initial)
    check(one, train_shard(*one))


def test_a_diverged_training_is_marked_and_never_the_best(data: tuple[Tensor, Tensor]):
    recipes = (Recipe(epochs=1, batch_size=30, lr=1e12, weight_decay=1.0), Recipe(epochs=1))
    config = SearchConfig(target=0.6, widths=(2, 2, 1), recipes=recipes, shard_size=8)
    result = train_shard(*job(config, data, 0))
    assert (result.correct[:, 0] == DIVERGED).all()
    assert (result.correct[:, 1] >= 0).all()
    assert {candidate.recipe for candidate in result.best} == {1}


def test_more_classes_than_two():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=generator)
    y = (x.sum(1) > 0).long() + (x[:, 0] > 1).long()
    recipes = (Recipe(epochs=2, batch_size=20, lr=0.1),)
    config = SearchConfig(target=0.6, widths=(3, 2, 3), recipes=recipes, shard_size=5)
    one = job(config, (x, y), 0)
    assert one[0].outputs == 3
    check(one, train_shard(*one))


def test_jobs_and_results_travel_between_processes(
    config: SearchConfig, data: tuple[Tensor, Tensor]
):
    one = job(config, data, 0)
    here, there = train_shard(*one), train_shard(*pickle.loads(pickle.dumps(one)))
    assert np.array_equal(here.correct, pickle.loads(pickle.dumps(there)).correct)
    assert here.best == there.best
