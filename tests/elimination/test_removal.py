"""Removing units and parameters."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from prunelimits.datasets import cubist_spiral
from prunelimits.elimination.candidates import candidates, magnitudes
from prunelimits.elimination.config import Elimination
from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.settling import settle
from prunelimits.elimination.trainer import Trainer
from prunelimits.elimination.units import remove_units

from .oracle import one, outputs, pruned, random_networks

X, Y = cubist_spiral(600)


def trainer() -> Trainer:
    return Trainer(EliminationData.of(X, Y, None, (2, 1), None), seed=0, engine=None)


def dense(widths=(2, 6, 4, 1), models: int = 5, seed: int = 0) -> NetworkStack:
    return random_networks(widths, models, seed, 1.0)


def hidden(params, x):
    h, result = x.double(), []
    for layer in range(len(params) // 2 - 1):
        weight, bias = params[f"layers.{layer}.weight"], params[f"layers.{layer}.bias"]
        h = (h @ weight.double().T + bias.double()).relu()
        result.append(h)
    return result


def without_units(params, x, share):
    """Units removed one after the other, each by solving for what the others tell of it."""
    weights = [params[f"layers.{n}.weight"].double().clone() for n in range(len(params) // 2)]
    biases = [params[f"layers.{n}.bias"].double().clone() for n in range(len(params) // 2)]
    left = [list(range(len(bias))) for bias in biases[:-1]]
    layers = hidden(params, x)
    means = [h.mean(0) for h in layers]
    covariances = [torch.cov(h.T, correction=0) for h in layers]
    passed = [
        float((c.diag() * w.square().sum(0)).sum())
        for c, w in zip(covariances, weights[1:], strict=True)
    ]
    ridged = [c + torch.eye(len(c)) * (1e-3 * c.diag().mean() + 1e-9) for c in covariances]
    for _ in range(math.ceil(share * sum(map(len, left)))):
        found = []
        for layer, units in enumerate(left):
            for unit in units:
                others = [other for other in units if other != unit]
                if not others:
                    continue
                among = ridged[layer][others][:, others]
                taken = torch.linalg.solve(among, ridged[layer][others, unit])
                rest = ridged[layer][unit, unit] - taken @ ridged[layer][others, unit]
                lost = float(rest * weights[layer + 1][:, unit].square().sum()) / passed[layer]
                found.append((lost, layer, unit, others, taken))
        if not found:
            break
        _, layer, unit, others, taken = min(found, key=lambda each: each[0])
        own = weights[layer + 1][:, unit].clone()
        weights[layer + 1][:, others] += own[:, None] * taken
        biases[layer + 1] += own * (means[layer][unit] - taken @ means[layer][others])
        weights[layer + 1][:, unit] = 0
        left[layer].remove(unit)
    return left, {
        f"layers.{n}.{part}": value
        for part, values in (("weight", weights), ("bias", biases))
        for n, value in enumerate(values)
    }


@pytest.mark.parametrize("share", [0.1, 0.3, 0.55, 0.9])
def test_units_go_one_by_one_as_in_a_plain_loop(share):
    networks = dense(models=12)
    smaller = remove_units(networks, X, share, "free")
    for i in range(len(networks)):
        left, params = without_units(one(networks.params, i), X, share)
        for layer, units in enumerate(smaller.units):
            used = smaller.masks[f"layers.{layer + 1}.weight"][i].any(0)
            assert set(units[i][used].tolist()) == set(left[layer])
        expected = outputs(dict(sorted(params.items())), X)
        torch.testing.assert_close(
            outputs(one(smaller.params, i), X), expected, atol=1e-3, rtol=1e-3
        )


def test_a_unit_that_is_another_ones_double_goes_almost_without_a_trace():
    networks = dense(models=6)
    for part in ("weight", "bias"):
        networks.params[f"layers.0.{part}"][:, 4] = 2 * networks.params[f"layers.0.{part}"][:, 1]
    # So that no other unit is worth less.
    networks.params["layers.1.weight"][:, :, 4] *= 0.03
    smaller = remove_units(networks, X, 0.05, "free")
    compared = 0
    for i in range(6):
        assert smaller.units[0][i].tolist() == [0, 1, 2, 3, 5]
        params = one(networks.params, i)
        expected = outputs(params, X)
        error = float((outputs(one(smaller.params, i), X) - expected).abs().max())
        dropped = {name: value.clone() for name, value in params.items()}
        dropped["layers.1.weight"][:, 4] = 0
        without = float((outputs(dropped, X) - expected).abs().max())
        # All but what the ridge, a thousandth of the mean variance, keeps from moving.
        assert error <= 0.1 * without
        compared += without > 0
    assert compared


def test_weights_that_are_pruned_stay_pruned():
    networks = settle(random_networks((2, 6, 5, 1), 20, 3, 0.7), "free")
    smaller = remove_units(networks, X, 0.3, "free")
    for i in range(20):
        before = networks.member(i, (2, 6, 5, 1))[1]
        after = smaller.member(i, (2, 6, 5, 1))[1]
        for name, mask in after.items():
            assert name.endswith("bias") or not (mask & ~before[name]).any()


def test_mean_outputs_stay_also_where_weights_are_pruned():
    networks = settle(random_networks((2, 8, 2), 20, 3, 0.7), "free")
    smaller = remove_units(networks, X, 0.3, "free")
    for i in range(20):
        expected = outputs(one(networks.params, i), X).mean(0)
        torch.testing.assert_close(
            outputs(one(smaller.params, i), X).mean(0), expected, atol=1e-4, rtol=1e-4
        )


def test_the_mean_of_a_unit_that_never_changes_moves_into_the_next_biases():
    networks = dense(models=1)
    # Unit 2 of the first layer: always 5.
    networks.params["layers.0.weight"][0, 2] = 0
    networks.params["layers.0.bias"][0, 2] = 5
    # So that no other unit is worth less, though many are almost functions of each other.
    networks.params["layers.1.weight"][0, :, 2] *= 0.03
    smaller = remove_units(networks, X, 0.05, "free")
    assert 2 not in smaller.units[0][0].tolist()
    torch.testing.assert_close(
        outputs(pruned(smaller, 0), X), outputs(pruned(networks, 0), X), atol=1e-4, rtol=1e-4
    )


def test_noise_makes_different_networks_of_one():
    networks = dense(models=1)[torch.zeros(8, dtype=torch.long)]
    noise = 2 * torch.randn(8, 2, 6, generator=torch.Generator().manual_seed(0))
    smaller = remove_units(networks, X, 0.5, "free", noise)
    assert len({tuple(units.tolist()) for units in smaller.units[0]}) > 1
    same = remove_units(networks, X, 0.5, "free")
    assert len({tuple(units.tolist()) for units in same.units[0]}) == 1


def test_a_candidate_is_what_is_left_when_the_best_parameter_is_gone():
    networks = settle(random_networks((2, 4, 3, 1), 3, 1, 0.8), "free")
    networks = replace(networks, origin=torch.arange(3))
    bench = trainer()
    method = Elimination(tries=2)
    found = candidates(networks, 1, method, bench, torch.Generator())
    x, y = bench._screened
    for i in range(3):
        losses = []
        for name, mask in networks.masks.items():
            for place in mask[i].nonzero().tolist():
                params = {n: value.clone() for n, value in pruned(networks, i).items()}
                params[name][tuple(place)] = 0
                logits = outputs(params, x)[:, 0]
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, y.double())
                losses.append(float(loss))
        got = sorted(found.loss[found.origin == i].tolist())
        assert got[0] == pytest.approx(min(losses), rel=1e-4)
        assert len(got) == 2
        for loss in got:
            assert min(abs(loss - other) for other in losses) < 1e-4 * loss
    assert bool((found.nonzeros() < networks.nonzeros()[found.origin]).all())


def test_no_two_candidates_of_one_origin_are_the_same():
    networks = settle(random_networks((2, 3, 3, 1), 4, 2, 0.9), "free")
    networks = replace(networks, origin=torch.zeros(4, dtype=torch.long))
    twice = networks[torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])]
    method = Elimination(tries=100)
    once = candidates(networks, 1, method, trainer(), torch.Generator())
    again = candidates(twice, 1, method, trainer(), torch.Generator())
    assert sorted(once.loss.tolist()) == pytest.approx(sorted(again.loss.tolist()))


def test_under_the_outgoing_rule_no_bias_is_removed_on_its_own():
    networks = settle(dense((2, 3, 2, 1), 2), "outgoing")
    found = candidates(
        networks, 1, Elimination(tries=100, biases="outgoing"), trainer(), torch.Generator()
    )
    for i in range(len(found)):
        for layer in (0, 1):
            used = found.masks[f"layers.{layer + 1}.weight"][i].any(0)
            assert torch.equal(found.masks[f"layers.{layer}.bias"][i], used)


def test_several_go_at_once_where_the_network_is_large():
    networks = settle(dense((2, 8, 8, 1), 2), "free")
    found = candidates(networks, 10, Elimination(tries=3), trainer(), torch.Generator())
    assert bool((found.nonzeros() <= networks.nonzeros()[found.origin] - 10).all())
    assert 1 <= int((found.origin == 0).sum()) <= 3


def test_magnitudes_are_what_a_plain_loop_measures():
    networks = dense((2, 4, 3, 1), 2)
    got = magnitudes(networks, X)
    for i in range(2):
        params = one(networks.params, i)
        incoming = [X.double(), *hidden(params, X)]
        expected = []
        for layer, h in enumerate(incoming):
            weight = params[f"layers.{layer}.weight"].double()
            bias = params[f"layers.{layer}.bias"].double()
            total = (h @ weight.T).std(0, correction=0)
            expected.append((weight.abs() * h.std(0, correction=0) / total[:, None]).flatten())
            expected.append(bias.abs() / total)
        torch.testing.assert_close(got[i].double(), torch.cat(expected), rtol=1e-4, atol=1e-5)
