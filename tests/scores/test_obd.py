from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from prunelimits.problem import problem_of
from prunelimits.scores import obd
from prunelimits.scores.curvature import curvature_matrix

from .cases import CASES, Case, dense_hessian, draw, flat, noise_for


def regression(seed: int, inputs: int = 4) -> tuple[Case, Tensor, Tensor]:
    """A linear network at its minimum: the loss is exactly quadratic."""
    generator = torch.Generator().manual_seed(seed)
    x, y = draw(generator, 12, inputs), draw(generator, 12, 1)
    model = nn.Linear(inputs, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.linalg.lstsq(x, y).solution.T)
    masks = {"weight": torch.ones(1, inputs, dtype=torch.bool)}
    return Case(model, nn.functional.mse_loss, [(x, y)], masks), x, y


@pytest.mark.parametrize("gauss_newton", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_at_the_minimum_of_a_quadratic_it_is_the_rise_of_the_loss(
    seed: int, gauss_newton: bool
) -> None:
    case, _, _ = regression(seed)
    least = case.mean_loss(case.weights())
    found = obd(case.problem, case.params, case.masks, gauss_newton=gauss_newton)["weight"]
    for place in range(4):
        without = case.params["weight"].clone()
        without[0, place] = 0
        rise = case.mean_loss({"weight": without}) - least
        torch.testing.assert_close(found[0, place], rise)


def test_it_is_the_diagonal_of_the_hessian(case: Case) -> None:
    expected = dense_hessian(case).diagonal() * flat(case.weights()).square() / 2
    found = flat(obd(case.problem, case.params, case.masks))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_the_whole_hessian(case: Case) -> None:
    kept = flat(case.masks)
    expected = torch.where(kept[:, None] & kept, dense_hessian(case), 0)
    found = curvature_matrix(case.problem, case.params, case.masks)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def gauss_newton_matrix(case: Case) -> Tensor:
    """`J^T (d2L/dz2) J`, each factor written out."""
    weights = case.weights()
    sizes = [value.numel() for value in weights.values()]
    total = torch.zeros(sum(sizes), sum(sizes), dtype=torch.float64)
    for x, y in case.batches:

        def outputs(row: Tensor, x: Tensor = x) -> Tensor:
            parts = zip(weights.items(), row.split(sizes), strict=True)
            named = {name: part.view_as(value) for (name, value), part in parts}
            return torch.func.functional_call(case.model.eval(), named, (x,))

        z = outputs(flat(weights)).detach()
        jacobian = torch.autograd.functional.jacobian(outputs, flat(weights)).flatten(0, -2)
        curved = torch.autograd.functional.hessian(lambda z, y=y: case.loss(z, y), z)
        total += jacobian.T @ curved.reshape(z.numel(), z.numel()) @ jacobian
    return total / len(case.batches)


def test_gauss_newton(case: Case) -> None:
    kept = flat(case.masks)
    expected = torch.where(kept[:, None] & kept, gauss_newton_matrix(case), 0)
    found = curvature_matrix(case.problem, case.params, case.masks, gauss_newton=True)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    scores = flat(obd(case.problem, case.params, case.masks, gauss_newton=True))
    torch.testing.assert_close(scores, expected.diagonal() * flat(case.weights()).square() / 2)
    assert (scores >= 0).all()


def test_the_estimate_takes_signs_from_the_noise_s_binary_digits() -> None:
    case = CASES["perceptron"]()
    noise = noise_for(case.masks)
    kept = flat(case.masks).double()
    digits = [f"{int(number * 2**24):024b}" for number in flat(noise).tolist()]
    for probes in (1, 2, 24):
        estimates: list[Tensor] = []
        for probe in range(probes):
            signs = kept * torch.tensor([1.0 - 2 * int(row[probe]) for row in digits]).double()
            estimates.append(signs * (dense_hessian(case) @ signs))
        expected = torch.stack(estimates).mean(0) * flat(case.weights()).square() / 2
        found = flat(obd(case.problem, case.params, case.masks, noise, probes=probes))
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_the_estimate_has_no_bias() -> None:
    """The mean over all sign vectors is the exact diagonal."""
    case, _, _ = regression(0, inputs=5)
    total = torch.zeros(1, 5, dtype=torch.float64)
    for row in itertools.product([0.25, 0.75], repeat=5):
        noise = {"weight": torch.tensor([row])}
        total += obd(case.problem, case.params, case.masks, noise, probes=1)["weight"]
    exact = obd(case.problem, case.params, case.masks)["weight"]
    torch.testing.assert_close(total / 2**5, exact)


@pytest.mark.parametrize("probes", [-1, 25])
def test_a_number_of_probes_that_the_noise_does_not_hold(probes: int) -> None:
    case = CASES["perceptron"]()
    with pytest.raises(ValueError, match=f"probes must be from 0 to 24, got {probes}"):
        obd(case.problem, case.params, case.masks, noise_for(case.masks), probes=probes)


def test_more_weights_than_columns_at_once() -> None:
    case, x, _ = regression(0, inputs=11)
    model = nn.Linear(11, 3, bias=False).double()  # 33 weights: 16, 16 and 1
    y = torch.zeros(12, 3, dtype=torch.float64)
    problem, params = problem_of(model, case.loss, [(x, y)])
    masks = {"weight": torch.ones(3, 11, dtype=torch.bool)}
    found = obd(problem, params, masks)["weight"]
    expected = x.square().mean(0) * params["weight"].square() / 3
    torch.testing.assert_close(found, expected)
    assert math.isclose(float(found.sum()), float(expected.sum()))
