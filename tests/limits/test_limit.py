from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.datasets import cubist_spiral
from prunelimits.limits import (
    Hessian,
    PruningLimit,
    Spectrum,
    constructive_prediction,
    directed_prediction,
    effective_distance,
    exact_prediction,
    exact_spectrum,
    lanczos_spectrum,
    loss_spread,
    magnitude_sweep,
    pruning_distances,
    pruning_limit,
    published_prediction,
    published_removed,
    sorted_magnitudes,
    statistical_dimension,
)
from prunelimits.limits.limit import default_names
from prunelimits.problem import problem_of
from prunelimits.training import MLPEnsemble
from prunelimits.types import Problem
from tests.limits.conftest import Case, batches_of, seeded


def at_minimum() -> Case:
    """A network at a minimum of its loss: the targets are the probabilities it gives itself.

    Without training, which would lead elsewhere on a machine that rounds in another order.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 6, generator=generator, dtype=torch.float64)
    model = seeded(lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)))
    with torch.no_grad():
        for parameter in model.parameters():
            # Many small weights and some large ones.
            parameter.copy_(
                6 * parameter * parameter.abs()
                + 0.02 * torch.randn(parameter.shape, generator=generator)
            )
        y = functional.softmax(model(x), dim=1)
    return Case(model, functional.cross_entropy, batches_of(x, y, (20, 20, 20)))


def limit_of(case: Case, **options) -> PruningLimit:
    return pruning_limit(case.model, case.loss, case.batches, **options)


@pytest.fixture(scope="module")
def network() -> Case:
    return at_minimum()


@pytest.mark.parametrize("epsilon", [None, 0.002, 0.005, 0.01, 0.02])
def test_predictions_are_the_crossings_by_plain_loops(network: Case, epsilon: float | None):
    limit = limit_of(network, epsilon=epsilon)
    values = torch.linalg.eigvalsh(network.dense()).abs()
    axes = 2 * limit.epsilon / values
    weights = torch.cat([p.detach().flatten() for p in network.model.parameters() if p.dim() > 1])
    squares = weights.square().sort().values
    assert limit.weights == len(weights) == 72
    assert limit.parameters == len(values) == 83
    best = {"predicted": 0, "exact": 0, "constructive": 0}
    dense = network.dense()
    for removed in range(73):
        distance = float(squares[:removed].sum())
        if float((axes / (distance + axes)).sum()) >= removed:
            best["predicted"] = removed
        # The exact one: a fine grid of nu, the largest with mean(R^2 / (nu + r^2)) >= 1.
        grid = torch.linspace(0, distance, 2001, dtype=torch.float64)
        holds = (distance / (grid[:, None] + axes)).mean(1) >= 1
        nu = float(grid[holds][-1]) if holds.any() else 0.0
        if float((axes / (nu + axes)).sum()) >= removed:
            best["exact"] = removed
        pruned = deepcopy(network.model)
        cut = squares[removed - 1] if removed else -1.0
        with torch.no_grad():
            for parameter in pruned.parameters():
                if parameter.dim() > 1:
                    parameter.masked_fill_(parameter.square() <= cut, 0.0)
        offset = torch.cat([p.detach().flatten() for p in pruned.parameters()]) - network.flat()
        within = 0.5 * offset @ dense @ offset <= limit.epsilon
        if within and best["constructive"] == removed - 1:
            best["constructive"] = removed
    for name, removed in best.items():
        prediction = getattr(limit, name)
        assert prediction.removed_weights == removed, name
        assert prediction.removed == pytest.approx(removed / 72)
        assert prediction.remaining == pytest.approx(1 - removed / 72)
        assert prediction.distance**2 == pytest.approx(float(squares[:removed].sum()))
    assert 0 < best["constructive"] < best["predicted"] < best["exact"] < 72


def test_every_intermediate_quantity(network: Case):
    limit = limit_of(network)
    problem, params = network.problem()
    dense = network.dense()
    losses = torch.stack([network.loss(network.model(x), y) for x, y in network.batches]).detach()
    assert limit.epsilon == pytest.approx(float(losses.std(correction=0)))
    assert limit.epsilon == pytest.approx(loss_spread(problem, params))
    assert limit.loss == pytest.approx(float(losses.mean()))
    gradient = torch.autograd.functional.jacobian(network.mean_loss(), network.flat())
    assert limit.gradient_norm == pytest.approx(float(gradient.norm()))
    assert limit.trace.value == pytest.approx(float(dense.trace()))
    absolute = float(torch.linalg.eigvalsh(dense).abs().sum())
    assert limit.absolute_trace == pytest.approx((absolute, 0.0))
    reach = limit.predicted.distance**2 * absolute
    assert limit.sharpness_remaining == pytest.approx(reach / (reach + 2 * limit.epsilon * 83))
    assert limit.spectrum.exact
    assert limit.names == tuple(network.names())
    assert limit.prunable == ("0.weight", "2.weight")
    assert torch.equal(limit.magnitudes, limit.magnitudes.sort().values)
    # Removing the weights of the prediction changes the loss by this to first order.
    weights = torch.cat([params["0.weight"].flatten(), params["2.weight"].flatten()])
    cut = float(limit.magnitudes[limit.predicted.removed_weights - 1])
    gone = -weights * (weights.abs() <= cut)
    change = float(gone[:48] @ gradient[:48] + gone[48:] @ gradient[56:80])
    assert limit.linear_change == pytest.approx(change)


def test_bounds_are_in_their_order(network: Case):
    limit = limit_of(network)
    fewer, more = limit.kinematic
    assert fewer.removed <= limit.exact.removed <= more.removed
    # At the crossing's distance the published bound is at most the one by the trace.
    at_crossing = 1 - limit.predicted.dimension.value / limit.parameters
    assert at_crossing <= limit.sharpness_remaining + 1e-12
    assert limit.predicted.removed <= limit.exact.removed


def test_larger_weights_and_sharper_losses_leave_less_to_remove(network: Case):
    limit = limit_of(network)
    removed = [limit.rescaled(factor).removed for factor in (1.0, 2.0, 3.0, 4.0, 5.0)]
    assert removed[0] == limit.predicted.removed
    assert removed == sorted(removed, reverse=True)
    assert removed[-1] < removed[0]
    sharper = Spectrum.of_eigenvalues(3 * limit.spectrum.nodes[0])
    for predict in (published_prediction, exact_prediction):
        usual, sharp, generous = (
            predict(spectrum, limit.magnitudes, epsilon).removed
            for spectrum, epsilon in (
                (limit.spectrum, limit.epsilon),
                (sharper, limit.epsilon),
                (sharper, 3 * limit.epsilon),
            )
        )
        assert sharp < usual
        assert generous == pytest.approx(usual)


def test_the_published_steps_by_a_plain_loop():
    generator = torch.Generator().manual_seed(0)
    magnitudes = (3 * torch.rand(777, generator=generator)).double().sort().values
    spectrum = Spectrum.of_eigenvalues(10 ** (-4 * torch.rand(800, generator=generator)))
    gaps = []
    for step in range(1000):
        removed = max(1, math.ceil(step * 777 / 1000))
        distance = round(float(magnitudes[:removed].square().sum().sqrt()))
        axes = [2 * 0.3 / float(value) for value in spectrum.nodes[0]]
        share = sum(axis / (distance**2 + axis) for axis in axes) / 800
        gaps.append(abs(share - step / 1000))
    found = published_removed(spectrum, magnitudes, 0.3)
    assert found == gaps.index(min(gaps)) / 1000
    # Rounding matters little where the norm is large.
    assert found == pytest.approx(published_prediction(spectrum, magnitudes, 0.3).removed, abs=0.05)


def test_the_direction_of_the_pruned_point(network: Case):
    """Against the dense matrix's own eigenvectors."""
    limit = limit_of(network)
    problem, params = network.problem()
    hessian = Hessian(problem, params, limit.names)
    weights = {name: params[name] for name in limit.prunable}
    found = directed_prediction(hessian, limit.spectrum, weights, limit.epsilon, steps=83)
    values, axes = torch.linalg.eigh(hessian.dense())
    best = 0
    for removed in range(73):
        cut = float(limit.magnitudes[removed - 1]) if removed else -1.0
        gone = {n: torch.where(w.abs() <= cut, -w, 0.0) for n, w in weights.items()}
        offset = hessian.vector(gone)
        distance = float(offset.norm())
        dimension = float(limit.parameters)
        if distance:
            shares = (axes.T @ offset / distance).square()[None]
            direction = Spectrum(values[None], shares, 83, exact=True)
            nearer = effective_distance(limit.spectrum, distance, limit.epsilon, direction)
            dimension = statistical_dimension(limit.spectrum, nearer, limit.epsilon).value
        best = removed if dimension >= removed else best
    assert abs(found.removed_weights - best) <= 1
    assert limit.constructive.removed <= found.removed


def test_a_given_spectrum_is_used(network: Case):
    limit = limit_of(network)
    problem, params = network.problem()
    hessian = Hessian(problem, params, limit.names)
    same = limit_of(network, spectrum=exact_spectrum(hessian))
    assert same.predicted == limit.predicted
    estimated = limit_of(network, spectrum=lanczos_spectrum(hessian, probes=8, steps=83))
    assert estimated.predicted.removed == pytest.approx(limit.predicted.removed, abs=0.05)
    assert estimated.predicted.dimension.error > 0
    flat = limit_of(network, spectrum=limit.spectrum.with_zero_mass(0.5))
    assert flat.predicted.removed > limit.predicted.removed
    with pytest.raises(ValueError, match="spectrum must be of size 83, got 3"):
        limit_of(network, spectrum=Spectrum.of_eigenvalues(torch.ones(3)))


def test_large_networks_get_a_lanczos_spectrum(network: Case, monkeypatch):
    monkeypatch.setattr("prunelimits.limits.limit._DENSE_SIZE", 82)
    steps: list[int] = []
    limit = limit_of(network, on_step=lambda state: steps.append(state.steps))
    assert not limit.spectrum.exact
    assert limit.spectrum.nodes.shape == (4, 83)
    assert steps == list(range(1, 84))


def test_a_sparse_network_s_own_limit(network: Case):
    """What is pruned already is no variable and no weight: as if it had never been there."""
    masks = {"0.weight": torch.rand(8, 6, generator=torch.Generator().manual_seed(1)) < 0.6}
    sparse = deepcopy(network)
    with torch.no_grad():
        sparse.model[0].weight.masked_fill_(~masks["0.weight"], 0.0)
    kept = int(masks["0.weight"].sum())
    limit = limit_of(sparse, masks=masks, epsilon=0.4)
    assert limit.weights == kept + 24
    assert limit.parameters == kept + 35
    # Rows and columns of the dense matrix that are left.
    live = torch.cat([masks["0.weight"].flatten(), torch.ones(35, dtype=torch.bool)])
    values = torch.linalg.eigvalsh(sparse.dense()[live][:, live])
    expected = published_prediction(Spectrum.of_eigenvalues(values), limit.magnitudes, 0.4)
    assert limit.predicted.removed_weights == expected.removed_weights
    problem, params = sparse.problem()
    hessian = Hessian(problem, params, limit.names, masks=masks)
    weights = {name: params[name] for name in limit.prunable}
    again = constructive_prediction(hessian, weights, 0.4, masks=masks)
    assert again.removed_weights == limit.constructive.removed_weights > 0


def test_float64_on_request(network: Case):
    single = Case(
        deepcopy(network.model).float(), network.loss, [(x.float(), y) for x, y in network.batches]
    )
    precise = limit_of(single, dtype=torch.float64)
    assert precise.trace.value == pytest.approx(limit_of(network).trace.value, rel=1e-5)


def test_normalisation_layers_and_frozen_parameters_are_left_out():
    model = nn.Sequential(
        *(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 2))
    )
    assert default_names(model) == ["0.weight", "0.bias", "4.weight", "4.bias"]
    model[4].bias.requires_grad_(False)
    assert default_names(model) == ["0.weight", "0.bias", "4.weight"]
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    assert default_names(tied) == ["0.weight", "0.bias", "1.bias"]


def test_the_model_stays_as_it_is(network: Case):
    model = deepcopy(network.model).train()
    state, before = torch.get_rng_state(), deepcopy(model.state_dict())
    pruning_limit(model, network.loss, network.batches)
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_an_untrained_model_is_warned_of(network: Case):
    untrained = Case(
        seeded(lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)), 3),
        network.loss,
        network.batches,
    )
    with pytest.warns(UserWarning, match=r"the gradient's norm is 0\.\d+: one step downhill"):
        limit_of(untrained, epsilon=0.01)
    # A wide sublevel set hides the slope.
    limit_of(untrained, epsilon=1.0)


def flat_loss(outputs: Tensor, _: Tensor) -> Tensor:
    return outputs.mean()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epsilon": 0.0}, ValueError, r"epsilon must be positive and finite, got 0\.0"),
        ({"epsilon": -1.0}, ValueError, r"epsilon must be positive and finite, got -1\.0"),
        ({"batches": []}, ValueError, "batches must hold at least one pair .*, got none"),
        ({"prunable": ["0.bias", "x"]}, ValueError, r"prunable must be among .*got \['0\.bias'"),
        ({"prunable": []}, ValueError, r"prunable must be among .*got \[\]"),
        ({"names": ["x"]}, ValueError, r"names must be among .*got \['x'\]"),
        ({"names": ["0.bias"]}, ValueError, r"prunable must be among \['0\.bias'\], got \[\]"),
    ],
)
def test_bad_arguments(options: dict, error: type[Exception], message: str, network: Case):
    arguments = {"model": network.model, "loss": network.loss, "batches": network.batches}
    with pytest.raises(error, match=message):
        pruning_limit(**{**arguments, **options})


def test_one_batch_needs_an_epsilon(network: Case):
    one = Case(network.model, network.loss, network.batches[:1])
    with pytest.raises(ValueError, match="epsilon must be given where there is one batch"):
        limit_of(one)
    assert limit_of(one, epsilon=0.05).epsilon == 0.05


def test_batches_that_lose_alike_have_no_spread():
    x = torch.ones(4, 2)
    batches = [(x, x[:, 0]), (x, x[:, 0])]
    with pytest.raises(ValueError, match=r"epsilon must be positive and finite, got 0\.0"):
        pruning_limit(nn.Linear(2, 1), lambda out, y: (out[:, 0] - y).square().mean(), batches)


def test_a_diverged_network_is_told(network: Case):
    diverged = deepcopy(network)
    with torch.no_grad():
        diverged.model[0].weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="loss must be finite, got nan for batch 0"):
        limit_of(diverged)


def test_a_flat_loss_is_told(network: Case):
    linear = Case(nn.Linear(6, 1).double(), flat_loss, network.batches)
    with pytest.raises(ValueError, match="the loss is flat"):
        limit_of(linear, epsilon=0.1)


def test_distances_are_those_of_pruned_copies():
    weights = {"a": torch.tensor([[3.0, -1.0]]), "b": torch.tensor([0.5, -2.0])}
    magnitudes = sorted_magnitudes(weights)
    assert magnitudes.tolist() == [0.5, 1.0, 2.0, 3.0]
    expected = [0, 0.25, 1.25, 5.25, 14.25]
    assert pruning_distances(magnitudes).square().tolist() == pytest.approx(expected)
    kept = {"a": torch.tensor([[True, False]])}
    assert sorted_magnitudes(weights, kept).tolist() == [0.5, 2.0, 3.0]
    with pytest.raises(ValueError, match="at least one that is not pruned"):
        sorted_magnitudes({"a": weights["a"]}, {"a": torch.zeros(1, 2).bool()})
    with pytest.raises(ValueError, match="weights must be finite"):
        sorted_magnitudes({"a": torch.tensor([math.inf])})


def test_the_spread_counts_each_batch_equally():
    apply = lambda params, x: params["w"] * x  # noqa: E731
    batches = [(torch.ones(n) * v, torch.ones(n)) for n, v in ((1, 2.0), (5, 4.0), (3, 9.0))]
    problem = Problem(apply, lambda out, _: out.mean(), batches)
    found = loss_spread(problem, {"w": torch.tensor(1.0)})
    assert found == pytest.approx(math.sqrt((9 + 1 + 16) / 3))


def test_half_precision_models_are_measured_in_float32(network: Case):
    half = deepcopy(network.model).to(torch.bfloat16)
    batches = [(x.float(), y) for x, y in network.batches]
    assert problem_of(half, network.loss, batches)[1]["0.weight"].dtype == torch.float32
    assert limit_of(Case(half, network.loss, batches)).spectrum.exact


def test_masks_of_biases_may_come_with_those_of_weights():
    masks = {"layers.0.weight": torch.tensor([[True, False], [True, True], [True, True]])}
    model, saved = MLPEnsemble((2, 3, 1), models=1, masks=masks, seed=0).member(0)
    assert "layers.0.bias" in saved
    x, y = cubist_spiral(100, dtype=torch.float64)
    batches = [(x, y[:, None])]
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    weights = {name: mask for name, mask in saved.items() if name.endswith("weight")}
    both = [
        pruning_limit(model.double(), loss, batches, epsilon=10.0, masks=own)
        for own in (saved, weights)
    ]
    assert both[0].weights == both[1].weights == 8
    problem, params = problem_of(model, loss, batches)
    sweeps = [
        magnitude_sweep(problem, params, both[0].prunable, masks=own) for own in (saved, weights)
    ]
    assert torch.equal(sweeps[0].train.loss, sweeps[1].train.loss)
    with pytest.raises(ValueError, match="nowhere"):
        magnitude_sweep(problem, params, both[0].prunable, masks={"nowhere": torch.tensor([True])})


def test_what_masks_prune_counts_as_zero_whatever_the_model_holds():
    mlp, generator = at_minimum(), torch.Generator().manual_seed(3)
    masks = {"0.weight": torch.rand(8, 6, generator=generator) < 0.6}
    dirty = limit_of(mlp, masks=masks)
    with torch.no_grad():
        mlp.model.get_parameter("0.weight").masked_fill_(~masks["0.weight"], torch.nan)
    poisoned = limit_of(mlp, masks=masks)
    with torch.no_grad():
        mlp.model.get_parameter("0.weight").masked_fill_(~masks["0.weight"], 0.0)
    clean = limit_of(mlp, masks=masks)
    for found in (dirty, poisoned):
        for name in ("loss", "epsilon", "gradient_norm", "predicted", "constructive", "exact"):
            assert getattr(found, name) == getattr(clean, name), name
