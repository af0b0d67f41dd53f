from __future__ import annotations

import torch

from prunelimits.scores import loss_gradient, snip

from .cases import CASES, Case, finite_differences


def test_snip_is_the_weight_times_the_slope_of_the_loss(case: Case) -> None:
    slopes = finite_differences(case.mean_loss, case.weights())
    found = snip(case.problem, case.params, case.masks)
    for name, slope in slopes.items():
        # Pruned weights too: with the weight that they had, at the masked network.
        expected = (slope * case.params[name]).abs()
        torch.testing.assert_close(found[name], expected, rtol=1e-6, atol=1e-9)


def test_snip_is_the_slope_by_a_factor_on_each_weight() -> None:
    case = CASES["unpruned"]()
    ones = {name: torch.ones_like(value) for name, value in case.weights().items()}
    slopes = finite_differences(
        lambda factors: case.mean_loss({n: f * case.params[n] for n, f in factors.items()}), ones
    )
    found = snip(case.problem, case.params, case.masks)
    for name, slope in slopes.items():
        torch.testing.assert_close(found[name], slope.abs(), rtol=1e-6, atol=1e-9)


def test_a_pruned_weight_can_matter_again() -> None:
    case = CASES["perceptron"]()
    found = snip(case.problem, case.params, case.masks)
    assert any(value[~case.masks[name]].count_nonzero() for name, value in found.items())


def test_the_dense_gradient_is_that_of_the_masked_network(case: Case) -> None:
    slopes = finite_differences(case.mean_loss, case.weights())
    found = loss_gradient(case.problem, case.params, case.masks)
    for name, slope in slopes.items():
        torch.testing.assert_close(found[name], slope, rtol=1e-6, atol=1e-9)
