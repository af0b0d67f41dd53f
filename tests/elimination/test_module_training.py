"""Training and measuring stacks of modules, against plain loops over the modules."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunelimits import attach
from prunelimits.elimination.module_training import train_in_turn
from prunelimits.elimination.modules_together import can_train_together, train_together
from prunelimits.masks import count
from prunelimits.pruners import GMP

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


def test_training_within_masks_is_sgd_as_it_is_defined():
    """Velocity `v = m v + g + d w`, then `w -= lr v`, pruned weights zero; BatchNorm's too."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(27, 2))
    networks = stack(model, 5, models=2)
    run, recipe = regrowing(model), QUICK.recovery
    trained = run.trainer.trained(networks, recipe, seed=7)
    assert run.trainer.together
    for member in range(2):
        own, masks = copy.deepcopy(model).train(), networks.member(member)[1]
        values = dict(own.named_parameters())
        with torch.no_grad():
            for name, mask in masks.items():
                values[name].mul_(mask)
        velocity = {name: torch.zeros_like(value) for name, value in values.items()}
        generator = torch.Generator().manual_seed(7)
        for lr in recipe.learning_rates():
            for batch in torch.randperm(48, generator=generator).split(12):
                loss = functional.cross_entropy(own(TRAIN[0][batch]), TRAIN[1][batch])
                grads = torch.autograd.grad(loss, list(values.values()))
                with torch.no_grad():
                    for (name, value), grad in zip(values.items(), grads, strict=True):
                        velocity[name] = 0.9 * velocity[name] + grad + 5e-4 * value
                        value.sub_(lr * velocity[name])
                        value.mul_(masks.get(name, torch.ones(())))
        for name, value in own.state_dict().items():
            assert torch.allclose(trained.state[name][member], value, atol=1e-5), name
    kept = sum(int(m.sum()) for m in networks.masks.values())
    others = sum(p.numel() for n, p in model.named_parameters() if n not in networks.masks)
    assert run.trainer.work == 96 * (kept + 2 * others)


@pytest.mark.parametrize("make", [perceptron, convolutional, Everything])
def test_side_by_side_is_one_after_the_other(make):
    model = make()
    if isinstance(model, Everything):
        model.dropout.p = 0.0
    networks = stack(model, 5, models=4)
    run = regrowing(model)
    args = model, networks, run.data, QUICK.recovery
    one, other = train_together(*args, 3), train_in_turn(*args, [3] * 4)
    assert one.work == other.work
    for name, value in one.networks.state.items():
        assert torch.allclose(value, other.networks.state[name], atol=1e-5), name
    assert can_train_together(*args)
    assert not can_train_together(model, networks[:1], run.data, QUICK.recovery)


def test_dropout_is_trained_one_after_the_other():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    run, networks = regrowing(model), stack(model, 5, models=2)
    state = torch.random.get_rng_state()
    found = [run.trainer.trained(networks, QUICK.recovery, seed).state for seed in (1, 1, 2)]
    assert run.trainer.together is False
    assert torch.equal(torch.random.get_rng_state(), state)
    values = [[value.tolist() for value in one.values()] for one in found]
    assert values[0] == values[1] != values[2]


def test_networks_that_diverge_are_left_out_and_the_others_are_what_they_would_be():
    model = perceptron()
    networks, run = stack(model, 5, models=3, share=0.9), regrowing(perceptron())
    with torch.no_grad():
        networks.state["5.weight"][1] *= 1e38
    args = model, networks, run.data, QUICK.recovery
    for trained in (train_together(*args, 3), train_in_turn(*args, [3] * 3)):
        assert trained.networks.origin.tolist() == [0, 2]
        alone = train_in_turn(model, networks[2:], run.data, QUICK.recovery, [3]).networks
        for name, value in alone.state.items():
            assert torch.allclose(trained.networks.state[name][1], value[0], atol=1e-5)


def test_losses_accuracies_and_gradients_are_those_of_the_modules():
    model = convolutional()
    networks = stack(model, 3)
    run = regrowing(model)
    loss, right = run.trainer.measured(networks, *TRAIN)
    gradients = run.trainer.gradients(networks)
    for member in range(3):
        own = copy.deepcopy(model)
        own.load_state_dict({n: v[member] for n, v in networks.state.items()})
        outputs = own(TRAIN[0])
        expected = functional.cross_entropy(outputs, TRAIN[1])
        assert float(loss[member]) == pytest.approx(expected.item(), rel=1e-5)
        assert float(right[member]) == pytest.approx(accuracy(own, *TRAIN))
        expected.backward()
        for name, gradient in gradients.items():
            assert torch.allclose(gradient[member], own.get_parameter(name).grad, atol=1e-6)
    both = run._with_score(networks)
    whole = run.trainer.measured(networks, X, Y)[0]
    assert torch.allclose(both.score, -whole)


def test_stacks_are_taken_apart_and_joined():
    networks = stack(perceptron(), 6)
    again = networks[:1].joined([networks[torch.tensor([1, 2])]])
    assert torch.equal(again.signatures(), networks.signatures())
    assert len(networks.signatures().unique()) == 3
    assert len(networks[torch.tensor([0, 0])].signatures().unique()) == 1
    assert networks.nonzeros().tolist() == [count(networks.member(i)[1]) for i in range(3)]
    for name, value in again.state.items():
        assert torch.equal(value, networks.state[name])


def test_the_starts_are_those_of_gmp_in_ones_own_loop():
    method = dataclasses.replace(QUICK, head=2.5, starts=1)
    run = regrowing(perceptron(), keep=9, method=method)
    starts = run.starts()
    model, recipe, cost = perceptron(), QUICK.first, 0
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=5e-4)
    session = attach(GMP(until=0.15), model, optimizer, keep=23, steps=16)
    generator = torch.Generator().manual_seed(run.word(1, 0))
    for lr in recipe.learning_rates():
        optimizer.param_groups[0]["lr"] = lr
        order = torch.randperm(48, generator=generator)
        for batch in order.split(12):
            optimizer.zero_grad()
            functional.cross_entropy(model(TRAIN[0][batch]), TRAIN[1][batch]).backward()
            session.step()
            cost += 12 * (count(session.masks) + 10)
    masks = on_path(model, session.masks)
    for name, mask in masks.items():
        assert torch.equal(starts.masks[name][0], mask)
        kept = model.get_parameter(name).detach() * mask
        assert torch.allclose(starts.state[name][0], kept, atol=1e-6)
    assert run.work == cost


def test_starts_stay_dense_where_the_multiple_is_all_there_is():
    starts = regrowing(perceptron(), keep=60).starts()
    assert starts.nonzeros().tolist() == [88] * 3


def test_rows_to_choose_by_train_nothing():
    flipped = OTHERS[0], 1 - OTHERS[1]
    one, other = (regrowing(perceptron(), measure=measure) for measure in (OTHERS, flipped))
    starts, others = one.starts(), other.starts()
    assert not torch.equal(starts.score, others.score)
    after = [run.trained(starts, QUICK.recovery, 1) for run in (one, other)]
    for networks, same in ((starts, others), after):
        for name, value in networks.state.items():
            assert torch.equal(value, same.state[name])


def test_several_modules_start_in_turn():
    starts = [perceptron(), perceptron()]
    with torch.no_grad():
        starts[1][1].weight.add_(1)
    run = regrowing(starts)
    assert run.starts().origin.tolist() == [0, 1, 2]
    one, both = run, regrowing(starts[0])
    first, second = one.starts(), both.starts()
    names = [name for name in first.state if name in first.masks]
    same = [
        all(torch.equal(first.state[n][i], second.state[n][i]) for n in names) for i in range(3)
    ]
    assert same == [True, False, True]
