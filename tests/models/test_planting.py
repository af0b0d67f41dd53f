from __future__ import annotations

import math

import pytest
import torch

from prunelimits import MLP
from prunelimits.datasets import planted_circle, planted_helix, planted_relu
from prunelimits.masks import apply
from prunelimits.models import (
    circle_network,
    helix_network,
    parameter_shapes,
    plant,
    relu_network,
)
from prunelimits.training import MLPEnsemble
from prunelimits.types import Masks

DOUBLE = torch.float64


def wide(target: MLP, width: int, seed: int = 0) -> MLP:
    hidden = len(target.widths) - 2
    widths = (target.widths[0], *[width] * hidden, target.widths[-1])
    return MLPEnsemble(widths, 1, seed=seed, dtype=DOUBLE).member(0)[0]


def masked(model: MLP, masks: Masks) -> MLP:
    return MLP.from_params(model.widths, apply(dict(model.named_parameters()), masks))


@pytest.mark.parametrize("hidden_layers", [4, 5, 9])
def test_the_circle_network_is_right_but_near_a_border(hidden_layers: int):
    model, _ = circle_network(hidden_layers, dtype=DOUBLE)
    x, y = planted_circle(20_000, flipped=0, dtype=DOUBLE)
    wrong = model(x).argmax(1) != y
    # A chord of the square is at most 1 / (4 * 10^2) too high, in both coordinates.
    squared = (x[wrong] ** 2).sum(1, keepdim=True)
    border = torch.tensor([0.2, 0.5, 0.7], dtype=DOUBLE)
    assert bool(((border - squared).abs().amin(1) <= 2 / 400).all())
    assert float(wrong.double().mean()) < 0.01


@pytest.mark.parametrize("hidden_layers", [1, 2, 4])
def test_the_helix_network_meets_the_helix_at_its_knots(hidden_layers: int):
    model, _ = helix_network(hidden_layers, dtype=DOUBLE)
    knots = torch.linspace(-1, 1, 31, dtype=DOUBLE)[:, None]
    t = 5 * torch.pi + 3 * torch.pi * knots
    points = torch.cat([t * t.cos(), t * t.sin(), t], 1) / (8 * torch.pi)
    torch.testing.assert_close(model(knots), points, rtol=0, atol=1e-12)
    # Between them a straight line: (2 / 30)^2 / 8 of the largest second derivative, below 96.
    x, y = planted_helix(5000, noise=0, dtype=DOUBLE)
    assert float((model(x) - y).detach().abs().max()) < 96 * (2 / 30) ** 2 / 8


@pytest.mark.parametrize("hidden_layers", [1, 3, 9])
def test_the_relu_network_has_a_weight_a_layer(hidden_layers: int):
    model, masks = relu_network(hidden_layers, dtype=DOUBLE)
    x, y = planted_relu(500, noise=0, dtype=DOUBLE)
    assert torch.equal(model(x), y)
    assert sum(int(mask.sum()) for mask in masks.values()) == hidden_layers + 1


@pytest.mark.parametrize("make", [circle_network, helix_network, relu_network])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_network_computes_what_was_planted_and_leaves_the_rest(make, seed: int):
    target, kept = make(5, dtype=DOUBLE)
    around = wide(target, 100, seed)
    planted, masks = plant(target, kept, around)
    x = torch.randn(200, target.widths[0], dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(masked(planted, masks)(x), target(x), rtol=1e-9, atol=1e-9)
    for name, value in around.named_parameters():
        assert int(masks[name].sum()) == int(kept[name].sum())
        assert torch.equal(planted.get_parameter(name)[~masks[name]], value[~masks[name]])


def test_each_unit_is_planted_where_a_loop_finds_the_most_alike():
    target, kept = circle_network(4, dtype=DOUBLE)
    around = wide(target, 40)
    planted, masks = plant(target, kept, around)
    weight = around.get_parameter("layers.0.weight").tolist()
    goal = target.get_parameter("layers.0.weight").tolist()
    taken: list[int] = []
    for unit, row in enumerate(goal):
        (column,) = [c for c, value in enumerate(row) if value]
        best, least = -1, float("inf")
        for place, numbers in enumerate(weight):
            # One parameter is always alike after scaling: what is left is how little it is scaled.
            factor = row[column] / numbers[column]
            if place not in taken and factor > 0 and abs(math.log(factor)) < least:
                best, least = place, abs(math.log(factor))
        taken.append(best)
        found = masks["layers.0.weight"][:, column].nonzero()[:, 0].tolist()
        assert best in found, unit
    # So the wide network's own number stands there.
    for place in taken:
        kept_row = masks["layers.0.weight"][place]
        there = planted.get_parameter("layers.0.weight")[place][kept_row]
        torch.testing.assert_close(there, around.get_parameter("layers.0.weight")[place][kept_row])


def test_a_unit_of_several_parameters_goes_where_their_direction_is_most_alike():
    generator = torch.Generator().manual_seed(3)
    params = {
        name: torch.randn(shape, dtype=DOUBLE, generator=generator)
        for name, shape in parameter_shapes((3, 2, 1)).items()
    }
    target = MLP.from_params((3, 2, 1), params)
    around = wide(target, 30, seed=5)
    _, masks = plant(target, {}, around)
    taken: list[int] = []
    for unit in range(2):
        goal = [*params["layers.0.weight"][unit].tolist(), float(params["layers.0.bias"][unit])]
        cosines = []
        for place in range(30):
            there = [
                *around.get_parameter("layers.0.weight")[place].tolist(),
                around.get_parameter("layers.0.bias").tolist()[place],
            ]
            dot = sum(a * b for a, b in zip(goal, there, strict=True))
            cosines.append(dot / math.hypot(*goal) / math.hypot(*there))
        # The least distance after the best scaling is the largest cosine.
        taken.append(max(set(range(30)) - set(taken), key=lambda place: cosines[place]))
    assert masks["layers.0.bias"].nonzero()[:, 0].tolist() == sorted(taken)
    assert masks["layers.1.weight"].nonzero()[:, 1].tolist() == sorted(taken)


def test_nothing_alike_is_left_and_still_the_network_is_planted():
    target, kept = circle_network(4, dtype=DOUBLE)
    exact = MLP.from_params(
        target.widths, {n: -value.detach() for n, value in target.named_parameters()}
    )
    planted, masks = plant(target, kept, exact)
    x = torch.rand(50, 2, dtype=DOUBLE)
    torch.testing.assert_close(masked(planted, masks)(x), target(x), rtol=1e-9, atol=1e-9)


def test_networks_that_do_not_fit_are_refused():
    target, kept = relu_network(2)
    with pytest.raises(ValueError, match=r"wide must have widths \(1, 1, 1, 1\) or wider"):
        plant(target, kept, MLP((1, 5, 1)))
    with pytest.raises(ValueError, match=r"wide must have widths .* got \(2, 5, 5, 1\)"):
        plant(target, kept, MLP((2, 5, 5, 1)))
    with pytest.raises(ValueError, match="masks must name parameters of the target"):
        plant(target, {"other": torch.ones(1, dtype=torch.bool)}, MLP((1, 5, 5, 1)))
    with pytest.raises(ValueError, match=r"masks\['layers\.0\.weight'\] must have shape \(1, 1\)"):
        plant(target, {"layers.0.weight": torch.ones(2, 2).bool()}, MLP((1, 5, 5, 1)))
    with pytest.raises(ValueError, match="hidden_layers must be from 4 to"):
        circle_network(3)
