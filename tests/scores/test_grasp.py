from __future__ import annotations

import pytest
import torch
from torch import Tensor

from prunelimits.scores import grasp
from prunelimits.scores.curvature import curvature_product
from prunelimits.scores.gradient import loss_gradient
from prunelimits.types import Params

from .cases import CASES, Case, dense_hessian, finite_differences, flat, noise_for


def cooled(case: Case, temperature: float) -> Case:
    return case._replace(loss=lambda outputs, y: case.loss(outputs / temperature, y))


@pytest.mark.parametrize("temperature", [1.0, 200.0])
def test_grasp_is_the_weight_times_the_hessian_times_the_gradient(
    case: Case, temperature: float
) -> None:
    reference = cooled(case, temperature)
    kept = flat(case.masks).double()
    hessian = dense_hessian(reference)
    gradient = flat(finite_differences(reference.mean_loss, case.weights()))
    expected = flat(case.weights()) * kept * (hessian @ (kept * gradient))
    found = flat(grasp(case.problem, case.params, case.masks, temperature=temperature))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9 / temperature)


def test_grasp_is_what_a_weight_adds_to_the_gradient_flow() -> None:
    """`g . g` of a network whose weights are scaled by `1 + s`: half its slope by `s`."""
    case = CASES["unpruned"]()

    def flow(weights: Params) -> Tensor:
        slopes = finite_differences(case.mean_loss, weights, step=1e-5)
        return sum((slope.square().sum() for slope in slopes.values()), torch.tensor(0.0))

    slopes = finite_differences(flow, case.weights(), step=1e-4)
    found = grasp(case.problem, case.params, case.masks, temperature=1.0)
    for name, slope in slopes.items():
        torch.testing.assert_close(found[name], slope * case.params[name] / 2, rtol=1e-4, atol=1e-6)


def test_pruning_the_least_leaves_the_most_gradient_flow() -> None:
    case = CASES["unpruned"]()
    found = grasp(case.problem, case.params, case.masks, temperature=1.0)

    def flow(weights: Params) -> float:
        return float(flat(finite_differences(case.mean_loss, weights)).square().sum())

    flows: list[float] = []
    for choose in (torch.argmin, torch.argmax):
        place = int(choose(flat(found)))
        weights = {name: value.clone() for name, value in case.weights().items()}
        for value in weights.values():
            if 0 <= place < value.numel():
                value.view(-1)[place] *= 0.9  # a step short enough for the first order
            place -= value.numel()
        flows.append(flow(weights))
    assert flows[0] > flow(case.weights()) > flows[1]


def test_a_fresh_start_is_scored_in_the_weights_place() -> None:
    case = CASES["perceptron"]()
    found = grasp(case.problem, case.params, case.masks, noise_for(case.masks), xavier=True)
    other = {**case.params, **{name: case.params[name] + 1 for name in case.masks}}
    again = grasp(case.problem, other, case.masks, noise_for(case.masks), xavier=True)
    assert torch.equal(flat(found), flat(again))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_not_positive(temperature: float) -> None:
    case = CASES["perceptron"]()
    with pytest.raises(ValueError, match=f"temperature must be above 0, got {temperature}"):
        grasp(case.problem, case.params, case.masks, temperature=temperature)


def test_of_one_batch_the_gradient_that_is_differentiated_is_the_gradient(case: Case) -> None:
    one = case.problem._replace(batches=case.problem.batches[:1])
    gradient = loss_gradient(one, case.params, case.masks)
    product = curvature_product(one, case.params, case.masks)(gradient)
    found = grasp(one, case.params, case.masks, temperature=1.0)
    for name, mask in case.masks.items():
        assert torch.equal(found[name], case.params[name] * mask * product[name])
