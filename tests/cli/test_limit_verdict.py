"""The verdict of `prunelimits limit` on networks whose right verdict is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from prunelimits.cli.limit_verdict import verdict
from prunelimits.limits import PruningLimit, PruningSweep, magnitude_sweep, pruning_limit
from prunelimits.problem import problem_of

STEPS = tuple(step / 200 for step in range(201))


def measured(
    model: nn.Module, loss, x: Tensor, y: Tensor, epsilon: float
) -> tuple[PruningLimit, PruningSweep]:
    limit = pruning_limit(model, loss, [(x, y)], epsilon=epsilon)
    problem, params = problem_of(model, loss, [(x, y)])
    return limit, magnitude_sweep(problem, params, limit.prunable, removed=STEPS)


def linear(weights: Tensor) -> nn.Linear:
    model = nn.Linear(len(weights), 1, bias=False)
    model.weight.data = weights[None].clone()
    return model


def test_a_quadratic_loss_at_its_minimum_lets_the_quadratic_model_be_believed():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 100, generator=generator)
    weights = torch.randn(100, generator=generator) / 10
    model = linear(weights)
    limit, sweep = measured(model, nn.functional.mse_loss, x, x @ weights[:, None], 0.05)
    said = verdict(limit, sweep)
    assert f"{sweep.removed_within(0.05):.1%} can be removed" in said
    assert "Believe the quadratic model at the pruned point" in said
    assert "times epsilon" in said


def test_numbers_that_agree_for_another_reason_are_told_apart():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 100, generator=generator)
    weights = torch.randn(100, generator=generator) / 10
    limit, sweep = measured(linear(weights), nn.functional.mse_loss, x, x @ weights[:, None], 0.05)
    assert "reasons do not" not in verdict(limit, sweep)
    place = int((sweep.removed <= sweep.removed_within(0.05)).sum())
    # As if the loss rose steeply from there on, and the model's limit were one step beyond.
    loss = sweep.train.loss.clone()
    loss[place:] += 1.0
    sweep = replace(sweep, train=replace(sweep.train, loss=loss))
    beyond = replace(limit.constructive, removed_weights=int(sweep.removed_weights[place]))
    said = verdict(replace(limit, constructive=beyond), sweep)
    assert "Believe the quadratic model" in said
    assert "instead of 1, so the numbers agree and the reasons do not." in said


def test_a_loss_that_turns_up_far_from_the_minimum_is_told_with_how_much():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 100, generator=generator)
    weights = torch.randn(100, generator=generator) / 10

    def steep(outputs: Tensor, targets: Tensor) -> Tensor:
        error = (outputs - targets).square()
        return (error + 1e4 * error**2).mean()

    said = verdict(*measured(linear(weights), steep, x, x @ weights[:, None], 0.05))
    assert "Believe this and no prediction" in said
    assert "times epsilon instead of 1" in said


def test_a_network_at_no_minimum_has_no_prediction_to_believe():
    x = torch.eye(20)
    with pytest.warns(UserWarning, match="at no minimum"):
        limit, sweep = measured(
            linear(torch.ones(20)), nn.functional.mse_loss, x, torch.zeros(20, 1), 0.001
        )
    said = verdict(limit, sweep)
    assert "Believe no prediction: the network is at no minimum" in said
    # One step down from loss 1 of a quadratic gains all of it.
    assert "would gain 1, more than epsilon 0.001" in said
    assert "cannot be believed: the network is at no minimum" in said


def test_it_says_what_could_be_known_without_pruning():
    weights = torch.linspace(0.1, 1, 100)
    limit, sweep = measured(
        linear(weights), nn.functional.mse_loss, torch.eye(100), weights[:, None], 50.0
    )
    said = verdict(limit, sweep).splitlines()[-1]
    # All of it can go: the loss is at most the mean square, 0.37.
    assert said == (
        "Without pruning: the published formula's 99.0% can be believed, as the bounds are "
        "1.0 points apart; it is 1.0 points below what pruning does."
    )
