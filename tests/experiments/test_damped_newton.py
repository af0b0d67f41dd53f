"""Levenberg-Marquardt for copies of a small network, against plain loops in float64."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from damped_newton import (
    CrossEntropy,
    Mask,
    Method,
    Network,
    Numbers,
    Objective,
    SmoothErrors,
    SquaredError,
    minimise,
    outputs,
)
from torch import Tensor

from prunelimits.masks import flatten
from prunelimits.models import MLP
from tests.experiments.compiler import needs_compiler

pytestmark = needs_compiler

SAMPLES = 37
COPIES = 21


def network(widths: tuple[int, ...] = (2, 4, 2, 3, 1), seed: int = 0) -> Network:
    random = np.random.default_rng(seed)
    size = sum(rows * (columns + 1) for columns, rows in pairwise(widths))
    return Network(widths, random.uniform(size=size) < 0.8)


def copies_of(net: Network, copies: int = COPIES, seed: int = 1) -> Numbers:
    values = np.random.default_rng(seed).standard_normal((copies, len(net.kept)))
    return (values * net.kept).astype(np.float32)


def points(seed: int = 2) -> Numbers:
    return np.random.default_rng(seed).standard_normal((SAMPLES, 2)).astype(np.float32)


def labels(seed: int = 3) -> Numbers:
    return np.random.default_rng(seed).integers(2, size=SAMPLES).astype(np.float32)


def objectives() -> list[Objective]:
    random = np.random.default_rng(4)
    targets = random.standard_normal((COPIES, SAMPLES)).astype(np.float32)
    weights = random.uniform(0.1, 2, (COPIES, SAMPLES)).astype(np.float32)
    return [SquaredError(targets, weights), CrossEntropy(labels()), SmoothErrors(labels())]


def plain_output(net: Network, values: Tensor, x: Tensor) -> Tensor:
    """One copy, layer by layer."""
    layers = list(pairwise(net.widths))
    for layer, (columns, rows) in enumerate(layers):
        weights, biases, values = values.split(
            [rows * columns, rows, len(values) - rows * (columns + 1)]
        )
        x = x @ weights.view(rows, columns).T + biases
        x = x.relu() if layer < len(layers) - 1 else x
    return x[:, 0]


def plain_terms(objective: Objective, copy: int, out: Tensor) -> tuple[Tensor, Tensor]:
    """A copy's objective, and its curvature by every output as Gauss and Newton have it."""
    if isinstance(objective, SquaredError):
        share = torch.from_numpy(objective.weights[copy]).double()
        share = share / share.sum()
        away = out - torch.from_numpy(objective.targets[copy]).double()
        return (share * away**2).sum() / 2, share
    y = torch.from_numpy(objective.labels).double()
    chance = torch.sigmoid(out)
    steep = chance * (1 - chance)
    if isinstance(objective, CrossEntropy):
        value = torch.nn.functional.binary_cross_entropy_with_logits(out, y)
        return value, steep.clamp(min=1e-4) / len(y)
    return ((chance - y) ** 2).mean() / 2, steep**2 / len(y)


def plain_minimise(
    net: Network, values: Numbers, objective: Objective, copy: int, steps: int, free: Mask
) -> tuple[Tensor, float]:
    """One copy by the formulas, with derivatives by automatic differentiation, in float64."""
    method, x = Method(), torch.from_numpy(points()).double()
    places = torch.from_numpy(np.flatnonzero(net.kept & free))

    def model(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out = plain_output(net, parameters, x)
        curvature = plain_terms(objective, copy, out)[1]
        jacobian = torch.autograd.functional.jacobian(
            lambda p: plain_output(net, p, x), parameters
        )[:, places]

        def value(p: Tensor) -> Tensor:
            decay = method.decay / 2 * p[places].square().sum()
            return plain_terms(objective, copy, plain_output(net, p, x))[0] + decay

        gradient = torch.autograd.functional.jacobian(value, parameters)[places]
        return value(parameters), gradient, jacobian.T @ (curvature[:, None] * jacobian)

    parameters, damping = torch.from_numpy(values).double(), method.first
    value, gradient, curvature = model(parameters)
    for _ in range(steps):
        own = curvature.diagonal()
        added = damping * (own + method.share * own.mean()) + 1e-8 + method.decay
        tried = parameters.clone()
        tried[places] -= torch.linalg.solve(curvature + torch.diag(added), gradient)
        there = model(tried)
        if there[0] < value:
            parameters, (value, gradient, curvature) = tried, there
            damping = max(damping / method.lower, method.least)
        else:
            damping = min(damping * method.raising, method.most)
    return parameters, float(value)


def same_function(net: Network, ours: Numbers, theirs: Tensor) -> None:
    """Parameters may differ where a unit's scale is also the next layer's: rounding decides."""
    wanted = outputs(net, theirs.float().numpy()[None], points())
    np.testing.assert_allclose(outputs(net, ours[None], points()), wanted, rtol=0.01, atol=0.01)


def test_outputs_are_those_of_the_model_in_pytorch() -> None:
    net, x = network(), points()
    copies = copies_of(net)
    model = MLP(net.widths)
    for copy, ours in zip(copies, outputs(net, copies, x), strict=True):
        torch.nn.utils.vector_to_parameters(torch.from_numpy(copy), model.parameters())
        theirs = model(torch.from_numpy(x)).detach().numpy()[:, 0]
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_parameters_stand_as_flattened_masks_do() -> None:
    model = MLP((2, 3, 2, 1))
    masks = {name: torch.rand(p.shape) < 0.5 for name, p in model.named_parameters()}
    wanted = torch.nn.utils.parameters_to_vector([mask.float() for mask in masks.values()])
    assert torch.equal(flatten(masks).float(), wanted)


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_steps_are_those_of_a_plain_loop(kind: int, steps: int) -> None:
    net, objective = network(), objectives()[kind]
    copies = copies_of(net)
    ours, values = minimise(net, copies, points(), objective, steps)
    for copy in (0, 7, 16, COPIES - 1):  # In both groups of lanes.
        theirs, value = plain_minimise(net, copies[copy], objective, copy, steps, net.kept)
        assert values[copy] == pytest.approx(value, rel=1e-3)
        same_function(net, ours[copy], theirs)


def test_only_free_parameters_change_and_they_as_in_a_plain_loop() -> None:
    net, objective = network(), CrossEntropy(labels())
    copies, free = copies_of(net), np.arange(len(net.kept)) >= net.sizes()[0]
    ours, values = minimise(net, copies, points(), objective, 3, free=free)
    assert np.array_equal(ours[:, ~free], copies[:, ~free])
    assert (ours[:, free & net.kept] != copies[:, free & net.kept]).any(1).mean() > 0.5
    theirs, value = plain_minimise(net, copies[5], objective, 5, 3, free)
    assert values[5] == pytest.approx(value, rel=1e-3)
    same_function(net, ours[5], theirs)


@pytest.mark.parametrize("kind", range(3))
def test_an_objective_never_rises(kind: int) -> None:
    net, objective = network(seed=5), objectives()[kind]
    before = minimise(net, copies_of(net), points(), objective, 0)[1]
    after = minimise(net, copies_of(net), points(), objective, 30)[1]
    assert (after <= before).all()
    assert after.mean() < 0.9 * before.mean()


def test_a_copy_is_what_it_is_alone() -> None:
    net, objective = network(), CrossEntropy(labels())
    copies = copies_of(net)
    together, _ = minimise(net, copies, points(), objective, 10)
    alone, _ = minimise(net, copies[[18]], points(), objective, 10)
    assert np.array_equal(together[[18]], alone)


def test_pruned_parameters_stay_zero_and_the_start_stays_as_it_is() -> None:
    net = network()
    copies = copies_of(net)
    before = copies.copy()
    after, _ = minimise(net, copies, points(), CrossEntropy(labels()), 5)
    assert np.array_equal(copies, before)
    assert not after[:, ~net.kept].any()


def test_what_is_linear_is_had_in_a_few_steps() -> None:
    net = Network((2, 1), np.ones(3, np.bool_))
    x = points()
    targets = np.tile(3 * x[:, 0] - 2 * x[:, 1] + 0.5, (4, 1)).astype(np.float32)
    weights = np.ones_like(targets)
    after, values = minimise(net, copies_of(net, 4), x, SquaredError(targets, weights), 10)
    np.testing.assert_allclose(after, np.tile([3, -2, 0.5], (4, 1)), atol=1e-3)
    assert (values < 1e-5).all()
