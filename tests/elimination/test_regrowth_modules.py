"""Regrowth of torch modules: its laws, its choice, its steps against plain loops."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import nn

from prunelimits.elimination import RegrownModule, regrow
from prunelimits.elimination.regrowing_modules import importance
from prunelimits.masks import count, rows
from prunelimits.pruners import prunable

from .modules import (
    OTHERS,
    QUICK,
    TRAIN,
    Everything,
    X,
    Y,
    accuracy,
    convolutional,
    on_path,
    perceptron,
    regrowing,
    stack,
)


def check_laws(result, start: nn.Module, keep: int) -> None:
    network = result.network
    assert isinstance(network, RegrownModule)
    assert type(network.model) is type(start)
    assert list(network.masks) == list(prunable(start))
    assert result.weights == count(network.masks) <= keep
    for name, mask in network.masks.items():
        assert mask.dtype == torch.bool
        assert bool((network.model.get_parameter(name)[~mask] == 0).all())
    assert count(on_path(network.model, network.masks)) == result.weights
    others = sum(p.numel() for n, p in start.named_parameters() if n not in network.masks)
    assert network.nonzeros == result.weights + others


@pytest.mark.parametrize("keep", [6, 25])
def test_at_most_the_goal_is_kept_all_on_paths(keep: int):
    start = perceptron()
    result = regrow(*TRAIN, QUICK, keep=keep, start=start, measure=OTHERS)
    check_laws(result, start, keep)
    assert result.network.score == pytest.approx(accuracy(result.network.model, *OTHERS))


def test_of_convolutions_too_and_the_start_stays_as_it_is():
    start = convolutional().train()
    start[2].eval()
    start[0].weight.grad = torch.ones_like(start[0].weight)
    called: list[int] = []
    start[1].register_forward_hook(lambda *_: called.append(len(start[1]._forward_hooks)))
    before = copy.deepcopy(start.state_dict())
    random = torch.random.get_rng_state()
    result = regrow(*TRAIN, QUICK, keep=16, start=start, measure=OTHERS)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in start.state_dict().items())
    assert bool((start[0].weight.grad == 1).all())
    assert set(called) == {1}
    modes = [module.training for module in start.modules()]
    assert [module.training for module in result.network.model.modules()] == modes
    assert [module.training for module in start] == [True, True, False, True, True, True]
    check_laws(result, start, 16)
    assert result.network.score == accuracy(result.network.model, *OTHERS)


@pytest.mark.slow
def test_norms_dropout_shared_and_frozen_layers():
    start, method = Everything(), dataclasses.replace(QUICK, beam=1, tries=1, step=0.5)
    frozen = start.frozen.weight.clone()
    found = [regrow(*TRAIN, method, keep=20, start=start, measure=OTHERS, seed=2) for _ in "ab"]
    check_laws(found[0], start, 20)
    model = found[0].network.model
    assert list(found[0].network.masks) == ["first.weight", "twice.weight", "last.weight"]
    assert model.again is model.twice
    assert torch.equal(model.frozen.weight, frozen)
    assert int(model.norm.num_batches_tracked) > 0
    for name, value in found[1].network.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


@pytest.mark.slow
def test_a_seed_decides_everything():
    start = perceptron()
    found = [
        regrow(*TRAIN, QUICK, keep=9, start=start, seed=seed).network.model.state_dict()
        for seed in (1, 1, 2)
    ]
    values = [[value.tolist() for value in state.values()] for state in found]
    assert values[0] == values[1] != values[2]


@pytest.mark.slow
def test_growing_back_never_makes_the_choice_worse():
    found = [
        regrow(*TRAIN, dataclasses.replace(QUICK, cycles=n), keep=8, start=perceptron(), seed=4)
        for n in (0, 1, 3)
    ]
    scores = [result.network.score for result in found]
    assert scores == sorted(scores)
    works = [result.work for result in found]
    assert works == sorted(set(works))


@pytest.mark.parametrize("make", [perceptron, convolutional])
def test_what_grows_would_lie_on_a_path(make):
    model = make()
    run, networks = regrowing(model), stack(model, 4, models=2, share=0.12)
    settled = run._settled(networks)
    found = run._growable(settled.masks)
    for member in range(2):
        _, masks = settled.member(member)
        expected = on_path(model, networks.member(member)[1])
        assert all(torch.equal(masks[name], expected[name]) for name in masks)
        for name, mask in masks.items():
            for place in range(0, mask.numel(), 9):  # each takes a tenth of a second
                more = {n: m.clone() for n, m in masks.items()}
                more[name].view(-1)[place] = True
                could = not bool(mask.view(-1)[place]) and bool(
                    on_path(model, more)[name].view(-1)[place]
                )
                assert bool(found[name][member].view(-1)[place]) == could


def test_so_many_grow_and_nothing_is_lost():
    model = perceptron()
    run = regrowing(model)
    networks = run._settled(stack(model, 4, share=0.3))
    gradients = rows(run.trainer.gradients(networks))
    free = (rows(run._growable(networks.masks)) & (gradients != 0)).sum(1)
    assert bool((free > 0).any())
    for number in (1, 5, 1000):
        larger = run.larger(networks, number, torch.Generator().manual_seed(0))
        gained = larger.nonzeros() - networks.nonzeros()
        assert torch.equal(gained, free.clamp(max=number))
        for name, mask in networks.masks.items():
            assert bool((larger.masks[name] | ~mask).all())
            assert torch.equal(larger.state[name], networks.state[name])


@pytest.mark.parametrize("removed", [1, 4])
def test_candidates_lack_weights_and_the_best_of_each_network_stay(removed: int):
    model = perceptron()
    run = regrowing(model)
    networks = run._settled(stack(model, 4, models=2, share=0.3))
    found = run.candidates(networks, removed, torch.Generator().manual_seed(0))
    assert len(found) == 4
    assert torch.equal(run._settled(found).signatures(), found.signatures())
    for index in range(len(found)):
        parent = int(found.origin[index])
        lost = networks.nonzeros()[parent] - found.nonzeros()[index]
        assert int(lost) >= removed
        for name, mask in found.masks.items():
            assert bool((networks.masks[name][parent] | ~mask[index]).all())
    if removed == 1:
        kept = rows(networks.masks)
        for parent in range(2):
            losses = set[float]()
            for place in kept[parent].nonzero().flatten().tolist():
                without = kept[parent : parent + 1].clone()
                without[0, place] = False
                one = run._settled(networks[parent : parent + 1].keeping(without))
                losses.add(round(float(run.trainer.measured(one, *TRAIN)[0]), 6))
            mine = run.trainer.measured(found[found.origin == parent], *TRAIN)[0]
            assert sorted(round(float(v), 6) for v in mine)[0] == min(losses)


def test_importance_is_relative_to_the_unit():
    networks = stack(convolutional(), 1)
    found = importance(networks)
    expected = [
        [
            float(weight[unit].flatten()[place].abs() / weight[unit].norm().clamp_min(1e-12))
            for name in networks.masks
            for weight in [networks.state[name][member]]
            for unit in range(len(weight))
            for place in range(weight[unit].numel())
        ]
        for member in range(3)
    ]
    assert torch.allclose(found, torch.tensor(expected))


def test_squared_error_and_one_output():
    targets = X.sum((1, 2, 3))
    result = regrow(X, targets, QUICK, keep=12, start=perceptron(1), loss="mse")
    predicted = result.network.model(X)[:, 0].detach()
    r2 = 1 - float((predicted - targets).square().mean() / targets.var(correction=0))
    assert result.network.score == pytest.approx(r2, abs=1e-4)
    binary = regrow(X, Y, QUICK, keep=12, start=perceptron(1))
    right = ((binary.network.model(X)[:, 0] > 0).long() == Y).double().mean()
    assert binary.network.score == pytest.approx(float(right))
