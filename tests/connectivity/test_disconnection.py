"""Theorem L.1: the exact probability against enumeration and simulation, and the bounds."""

from __future__ import annotations

from fractions import Fraction
from itertools import chain, combinations, product

import pytest
import torch

from prunelimits import quotas
from prunelimits.connectivity import (
    disconnection_bounds,
    disconnection_probability,
    effective_masks,
    simulate_disconnection,
)
from prunelimits.masks import unflatten
from prunelimits.models.mlp import parameter_shapes


def weight_shapes(widths: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {n: s for n, s in parameter_shapes(widths).items() if n.endswith("weight")}


def enumerated(widths: tuple[int, ...], kept: tuple[int, ...]) -> Fraction:
    """The oracle: every mask with these numbers of weights."""
    shapes = weight_shapes(widths)
    layers: list[list[list[bool]]] = []
    for shape, number in zip(shapes.values(), kept, strict=True):
        entries = torch.Size(shape).numel()
        chosen = combinations(range(entries), number)
        layers.append([[i in set(places) for i in range(entries)] for places in chosen])
    flat = torch.tensor([[*chain(*parts)] for parts in product(*layers)])
    effective = effective_masks(unflatten(flat, shapes))
    connected = effective["layers.0.weight"].flatten(1).any(1)
    return Fraction(int((~connected).sum()), len(flat))


@pytest.mark.parametrize(
    ("widths", "kept"),
    [
        ((2, 2, 2), (1, 1)),
        ((2, 2, 2), (2, 1)),
        ((3, 3, 3), (2, 2)),
        ((2, 3, 2, 1), (2, 2, 1)),
        ((1, 3, 3, 1), (2, 3, 1)),
        ((2, 2, 2, 2), (2, 3, 2)),
        ((2, 3, 1), (0, 2)),
        ((2, 2), (4,)),
    ],
)
def test_probability_equals_the_count_of_all_masks(widths: tuple[int, ...], kept: tuple[int, ...]):
    assert disconnection_probability(widths, kept) == enumerated(widths, kept)


def simulated(widths: tuple[int, ...], kept: list[int], models: int, seed: int) -> float:
    """The share of random masks without a path: an independent, plain way to draw them."""
    generator = torch.Generator().manual_seed(seed)
    masks = {}
    for (name, shape), number in zip(weight_shapes(widths).items(), kept, strict=True):
        noise = torch.rand(models, torch.Size(shape).numel(), generator=generator)
        chosen = noise.topk(number, dim=1).indices
        mask = torch.zeros(noise.shape, dtype=torch.bool).scatter(1, chosen, True)
        masks[name] = mask.reshape(models, *shape)
    effective = effective_masks(masks)
    return float((~effective["layers.0.weight"].flatten(1).any(1)).double().mean())


@pytest.mark.parametrize(
    ("widths", "keep"), [((2, 8, 8, 8, 1), 24), ((2, 16, 16, 16, 1), 30), ((3, 12, 12), 10)]
)
@pytest.mark.parametrize("quota", [quotas.uniform, quotas.erk, quotas.igq])
def test_probability_agrees_with_simulation(widths: tuple[int, ...], keep: int, quota):
    kept = list(quota(weight_shapes(widths), keep).values())
    models = 20_000
    exact = float(disconnection_probability(widths, kept))
    # Five standard deviations; the seed is fixed, so this never comes and goes.
    slack = 5 * (max(exact * (1 - exact), 1e-6) / models) ** 0.5
    assert abs(simulated(widths, kept, models, seed=1) - exact) < slack
    drawn = simulate_disconnection(widths, kept, models=models, seed=1)
    assert abs(drawn - exact) < slack
    assert simulate_disconnection(widths, kept, models=models, seed=1) == drawn
    assert 0 < exact < 1


def test_the_corrected_bound_holds_and_the_printed_one_does_not():
    failed = scanned = 0
    for width in (5, 8, 12, 20, 50):
        for n in range(1, min(width, 8)):
            for m in range(1, min(width - n, 8)):
                exact = float(disconnection_probability((width,) * 3, (n, m)))
                bounds = disconnection_bounds(width, n, m)
                assert bounds.corrected <= exact + 1e-12
                scanned += 1
                failed += bounds.printed > exact + 1e-12
    assert (scanned, failed > 10) == (168, True)


def test_the_facts_of_width_50():
    exact = disconnection_probability((50, 50, 50), (1, 5))
    # One weight of the first layer ends at a unit that none of five weights reads.
    assert exact == Fraction(*_ratio(50))
    assert round(float(exact), 3) == 0.904
    assert disconnection_bounds(50, 1, 5).printed == 1.0


def _ratio(width: int) -> tuple[int, int]:
    from math import comb

    return comb(width * (width - 1), 5), comb(width * width, 5)


def test_wider_networks_lose_their_paths():
    kept = (10, 10, 10, 10)
    chances = [float(disconnection_probability((2, w, w, w, 1), kept)) for w in (16, 64, 256, 1024)]
    assert chances == sorted(chances)
    assert chances[-1] > 0.99


@pytest.mark.parametrize(
    ("widths", "kept", "error", "message"),
    [
        (
            (2, 2, 2),
            (1,),
            ValueError,
            r"kept must have one number for each of the 2 layers",
        ),
        ((2, 2, 2), (1, 5), ValueError, r"kept\[1\] must be between 0 and 4, got 5"),
        ((2, 2, 2), (1, -1), ValueError, r"kept\[1\] must be at least 0, got -1"),
        ((2, 2, 2), (1, 0.5), TypeError, r"kept\[1\] must be an integer, got 0.5"),
        ((2,), (), ValueError, "widths needs an input and an output"),
    ],
)
def test_bad_arguments(widths: tuple[int, ...], kept, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        disconnection_probability(widths, kept)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [((5, 3, 2), r"width must be above kept \+ kept_next = 5"), ((5, 0, 2), "kept must be at")],
)
def test_bounds_refuse_what_the_theorem_excludes(numbers: tuple[int, int, int], message: str):
    with pytest.raises(ValueError, match=message):
        disconnection_bounds(*numbers)
