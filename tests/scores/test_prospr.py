from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from prunelimits.problem import problem_of
from prunelimits.scores import prospr, snip
from prunelimits.types import Params

from .cases import CASES, Case, finite_differences


def loss_after_training(
    case: Case, factors: Params, steps: int, lr: float, momentum: float
) -> Tensor:
    """By torch's own optimizer on a module whose weights are scaled and masked."""
    model = copy.deepcopy(case.model).eval()
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum)
    with torch.no_grad():
        for name, mask in case.masks.items():
            model.get_parameter(name).mul_(factors[name] * mask)
    for step in range(steps):
        x, y = case.batches[step % len(case.batches)]
        optimizer.zero_grad()
        case.loss(model(x), y).backward()
        for name, mask in case.masks.items():
            gradient = model.get_parameter(name).grad
            assert gradient is not None
            gradient.mul_(mask)
        optimizer.step()
    x, y = case.batches[steps % len(case.batches)]
    return case.loss(model(x), y)


@pytest.mark.parametrize(("steps", "momentum"), [(0, 0.9), (1, 0.5), (3, 0.9), (3, 0.0)])
def test_prospr_is_the_slope_of_the_loss_after_training(
    case: Case, steps: int, momentum: float
) -> None:
    ones = {name: torch.ones_like(value) for name, value in case.weights().items()}
    slopes = finite_differences(
        lambda factors: loss_after_training(case, factors, steps, 0.3, momentum), ones, step=1e-6
    )
    found = prospr(case.problem, case.params, case.masks, steps=steps, lr=0.3, momentum=momentum)
    for name, slope in slopes.items():
        torch.testing.assert_close(found[name], slope.abs(), rtol=1e-5, atol=1e-8)


def test_the_published_variant_cuts_the_first_gradient_off() -> None:
    """Three steps written out, in plain autograd, with the first gradient a constant."""
    case = CASES["perceptron"]()
    model, (first, second) = case.model, case.batches
    factors = {name: torch.ones_like(v, requires_grad=True) for name, v in case.weights().items()}
    start = {name: value.detach() for name, value in model.named_parameters()}
    start |= {name: start[name] * case.masks[name] * factors[name] for name in factors}
    start = {n: v if v.requires_grad else v.clone().requires_grad_() for n, v in start.items()}

    def gradient(params: Params, batch: tuple[Tensor, Tensor]) -> Params:
        outputs = torch.func.functional_call(model, params, (batch[0],))
        loss = case.loss(outputs, batch[1])
        grads = torch.autograd.grad(loss, list(params.values()), create_graph=True)
        named = dict(zip(params, grads, strict=True))
        return {n: g * case.masks[n] if n in case.masks else g for n, g in named.items()}

    v1 = {n: g.detach() for n, g in gradient(start, first).items()}
    p1 = {n: start[n] - 0.1 * v1[n] for n in start}
    v2 = {n: 0.9 * v1[n] + g for n, g in gradient(p1, second).items()}
    p2 = {n: p1[n] - 0.1 * v2[n] for n in start}
    v3 = {n: 0.9 * v2[n] + g for n, g in gradient(p2, first).items()}
    p3 = {n: p2[n] - 0.1 * v3[n] for n in start}
    loss = case.loss(torch.func.functional_call(model, p3, (second[0],)), second[1])
    expected = torch.autograd.grad(loss, list(factors.values()))

    found = prospr(case.problem, case.params, case.masks, constant_first_step=True)
    exact = prospr(case.problem, case.params, case.masks)
    for name, slope in zip(factors, expected, strict=True):
        torch.testing.assert_close(found[name], slope.abs(), rtol=1e-9, atol=1e-12)
        assert not torch.allclose(exact[name], slope.abs(), rtol=1e-3)


def test_without_momentum_the_published_variant_is_the_exact_one() -> None:
    case = CASES["perceptron"]()
    found = [
        prospr(case.problem, case.params, case.masks, momentum=0.0, constant_first_step=constant)
        for constant in (False, True)
    ]
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_without_steps_it_is_snip_of_the_first_batch(case: Case) -> None:
    found = prospr(case.problem, case.params, case.masks, steps=0)
    one = case.problem._replace(batches=case.batches[:1])
    expected = snip(one, case.params, case.masks)
    for name, mask in case.masks.items():
        torch.testing.assert_close(found[name], expected[name] * mask)


def test_a_negative_number_of_steps() -> None:
    case = CASES["perceptron"]()
    with pytest.raises(ValueError, match="steps must be from 0 to 10000, got -1"):
        prospr(case.problem, case.params, case.masks, steps=-1)


class Shifted(nn.Module):
    """Has a buffer that matters, and a layer that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4).double(), nn.Linear(4, 2).double()
        self.last.requires_grad_(False)
        self.register_buffer("shift", torch.randn(4).double())

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x)) * self.shift)


def test_buffers_and_frozen_layers_are_not_trained_on_the_way() -> None:
    torch.manual_seed(0)
    model, x = Shifted(), torch.randn(5, 3).double()
    y = x[:, :2]
    mse = nn.functional.mse_loss
    problem, params = problem_of(model, mse, [(x, y)])

    def loss(factors: Params) -> Tensor:
        trained = copy.deepcopy(model)
        with torch.no_grad():
            trained.first.weight.mul_(factors["first.weight"])
        optimizer = torch.optim.SGD(trained.first.parameters(), 0.3)
        for _ in range(2):
            optimizer.zero_grad()
            mse(trained(x), y).backward()
            optimizer.step()
        return mse(trained(x), y)

    ones = {"first.weight": torch.ones(4, 3).double()}
    slopes = finite_differences(loss, ones, step=1e-6)
    masks = {"first.weight": torch.ones(4, 3).bool()}
    found = prospr(problem, params, masks, steps=2, lr=0.3, momentum=0.0)
    torch.testing.assert_close(
        found["first.weight"], slopes["first.weight"].abs(), rtol=1e-5, atol=1e-8
    )
