"""Whether the published prediction can be believed, on networks whose answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from prunelimits.limits import PruningLimit, Spectrum, belief, pruning_limit


def limit_of(weights: Tensor, x: Tensor, y: Tensor, epsilon: float) -> PruningLimit:
    model = nn.Linear(len(weights), 1, bias=False)
    model.weight.data = weights[None].clone()
    return pruning_limit(model, nn.functional.mse_loss, [(x, y)], epsilon=epsilon)


def flat_limit() -> PruningLimit:
    weights = torch.linspace(0.1, 1, 100)
    return limit_of(weights, torch.eye(100), weights[:, None], 50.0)


def test_its_numbers_are_those_of_a_quadratic_written_out():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 40, generator=generator).double().float()
    weights = torch.randn(40, generator=generator) / 10
    y = x @ weights[:, None] + 0.01 * torch.randn(300, 1, generator=generator)
    limit = limit_of(weights, x, y, 0.02)
    found = belief(limit)
    hessian = 2 * (x.T @ x).double() / 300
    slope = 2 * x.T.double() @ ((x @ weights[:, None] - y).squeeze(1)).double() / 300
    gone = weights.abs().argsort()[: limit.predicted.removed_weights]
    offset = torch.zeros(40, dtype=torch.float64)
    offset[gone] = -weights[gone].double()
    largest = float(torch.linalg.eigvalsh(hessian)[-1])
    assert found.slope == pytest.approx(float(slope @ slope) / (2 * largest) / 0.02, rel=1e-3)
    assert found.linear == pytest.approx(float(slope @ offset) / 0.02, abs=1e-4)
    assert found.quadratic == pytest.approx(float(offset @ hessian @ offset) / 2 / 0.02, rel=1e-4)
    assert found.apart == limit.predicted.removed - limit.constructive.removed
    assert found.spread == 0


def test_bounds_that_meet_are_believed_and_others_are_not():
    flat = flat_limit()
    assert belief(flat).believed
    assert belief(flat).reasons == ()
    # Two axes of many are steep, and they are what the smallest weights lie along.
    x = torch.diag(torch.tensor([30.0, 30.0, *[0.01] * 38]))
    weights = torch.linspace(0.5, 1, 40)
    steep = belief(limit_of(weights, x, x @ weights[:, None], 1.0))
    assert not steep.believed
    assert steep.apart > 0.05
    assert any("points apart" in reason for reason in steep.reasons)


def test_a_slope_is_told():
    with pytest.warns(UserWarning, match="at no minimum"):
        limit = limit_of(torch.ones(20), torch.eye(20), torch.zeros(20, 1), 0.001)
    found = belief(limit)
    assert found.slope == pytest.approx(1 / 0.001)  # a step takes all of the loss, 1
    assert not found.believed
    assert "no minimum" in found.reasons[0]


def test_a_prediction_that_moves_with_the_steps_is_told():
    flat = flat_limit()
    other = Spectrum.of_eigenvalues(1e6 * torch.ones(10))
    found = belief(flat, (other,))
    assert found.spread > 0.5
    assert "with the number of Lanczos steps" in found.reasons[0]
    with pytest.raises(TypeError, match="spectra must be Spectrum objects"):
        belief(flat, (torch.ones(3),))  # pyright: ignore[reportArgumentType]
