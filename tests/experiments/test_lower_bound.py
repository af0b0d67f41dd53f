"""The bound that is proved: exact geometry and the heaviest convex set, against brute force."""

from __future__ import annotations

import csv
import itertools
from fractions import Fraction
from math import ceil

import numpy as np
import pytest
import torch
from convex_cells import heaviest, orientations
from lower_bound import (
    COMBS,
    RESULTS,
    TARGETS,
    cells_for_comb,
    cells_needed,
    combs,
    errors_allowed,
    most_cells,
    smallest_possible,
)

from prunelimits.enumeration import every_widths
from prunelimits.training import MLPEnsemble
from prunelimits.training.torch_engine import forward


def exact_side(a, b, c) -> int:
    (ax, ay), (bx, by), (cx, cy) = (map(Fraction, map(float, p)) for p in (a, b, c))
    turn = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    return (turn > 0) - (turn < 0)


def test_orientations_are_exact():
    """Also of points that lie on a line but for the last bit, which float64 cannot tell."""
    random = np.random.default_rng(0)
    # Three points on a line of integers, one of them moved by the smallest step.
    a = random.integers(-1000, 1000, (300, 2)) / 1024
    step = random.integers(-50, 50, (300, 2)) / 1024
    c = a + 8 * step
    c[::3, 0] += 2.0**-40
    c[1::3, 1] -= 2.0**-40
    b = a + 3 * step
    assert orientations(a, b, c).tolist() == [exact_side(*p) for p in zip(a, b, c, strict=True)]
    single = random.normal(size=(200, 3, 2)).clip(-3, 3).astype(np.float32).astype(np.float64)
    single = np.round(single * 2**30) / 2**30
    signs = orientations(single[:, 0], single[:, 1], single[:, 2])
    assert signs.tolist() == [exact_side(*p) for p in single]
    with pytest.raises(ValueError, match="coordinates must be multiples"):
        orientations(np.array([1 / 3, 0]), np.zeros(2), np.ones(2))


def inside(polygon: list[tuple[float, float]], point: tuple[float, float]) -> bool:
    """Strictly inside the hull of some points: in a triangle of them, or on a segment within."""
    sides = [exact_side(a, b, point) for a, b in itertools.pairwise([*polygon, polygon[0]])]
    return all(side > 0 for side in sides)


def hull(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The corners, counter-clockwise, by gift wrapping."""
    points = sorted(set(points))
    if len(points) < 3:
        return points
    corners = [points[0]]
    while True:
        following = next(p for p in points if p != corners[-1])
        for p in points:
            side = exact_side(corners[-1], following, p)
            further = sum((a - b) ** 2 for a, b in zip(p, corners[-1], strict=True)) > sum(
                (a - b) ** 2 for a, b in zip(following, corners[-1], strict=True)
            )
            if side < 0 or (side == 0 and further):
                following = p
        if following == corners[0]:
            return corners
        corners.append(following)


def plain_heaviest(points, own, weights) -> int:
    """Every set of own points, with all that its hull holds."""
    places = [tuple(map(float, p)) for p in points]
    best = 0
    mine = [n for n in range(len(points)) if own[n]]
    for size in range(1, len(mine) + 1):
        for chosen in itertools.combinations(mine, size):
            corners = hull([places[n] for n in chosen])
            total = 0
            for n, place in enumerate(places):
                if own[n]:
                    closed = place in corners or (
                        len(corners) > 2
                        and all(
                            exact_side(a, b, place) >= 0
                            for a, b in itertools.pairwise([*corners, corners[0]])
                        )
                    )
                    if len(corners) == 2 and exact_side(*corners, place) == 0:
                        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
                        closed = all(a <= v <= b for a, v, b in zip(low, place, high, strict=True))
                    total += weights[n] * closed
                elif len(corners) > 2:
                    total -= weights[n] * inside(corners, place)
            best = max(best, total)
    return best


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25))
def test_the_heaviest_convex_set_is_that_of_all_sets(seed: int):
    random = np.random.default_rng(seed)
    # A coarse grid has points on lines; a fine one hardly any.
    steps = 4 if seed % 3 == 0 else 64
    places = {tuple(p) for p in random.integers(0, steps, (15, 2))}
    points = np.array(sorted(places), dtype=np.float64) / 32
    own = random.random(len(points)) < 0.55
    weights = random.integers(0, 5, len(points))
    assert heaviest(points, own, weights) == plain_heaviest(points, own, weights)


def test_points_and_weights_that_would_prove_nothing_are_refused():
    points, own = np.zeros((2, 2)), np.array([True, False])
    with pytest.raises(ValueError, match="points must be different, got 2 with some twice"):
        heaviest(points, own, np.ones(2, dtype=np.int64))
    points[1] = 1
    with pytest.raises(ValueError, match="weights must be at least 0, got -1"):
        heaviest(points, own, np.array([1, -1]))


def test_no_network_has_more_cells_than_are_possible():
    """A line meets every convex cell at most once, so a class changes once less than there are."""
    generator = torch.Generator().manual_seed(0)
    reached: dict[tuple[int, ...], int] = {}
    for space in every_widths(18, inputs="any"):
        networks = [space[n] for n in range(0, len(space), 3)]
        for masks in networks:
            params = {
                name: torch.randn(200, *mask.shape, generator=generator, dtype=torch.float64) * mask
                for name, mask in masks.items()
            }
            ensemble = MLPEnsemble.from_params(space.widths, params)
            ends = 3 * torch.randn(2, 2, generator=generator, dtype=torch.float64)
            line = ends[0] + torch.linspace(-3, 3, 1501, dtype=torch.float64)[:, None] * ends[1]
            above = forward(ensemble.params, line).squeeze(2) > 0
            changes = int((above[:, 1:] != above[:, :-1]).sum(1).max())
            bound = most_cells({name: mask.numpy() for name, mask in masks.items()})
            assert changes + 1 <= bound
            reached[space.widths] = max(changes + 1, reached.get(space.widths, 0))
    # Not so loose that it could not fail: three intervals and more are met.
    assert max(reached.values()) >= 4


def test_every_point_is_in_one_comb_and_some_comb_has_few_errors():
    every = combs()
    points = np.concatenate([points for points, _, _ in every])
    assert len(points) == 49_982
    assert errors_allowed("0.95", 49_982) == 2_499 // COMBS == 1
    assert errors_allowed("0.995", 49_982) == 249 // COMBS == 0
    assert all(len(np.unique(points, axis=0)) == len(points) for points, _, _ in every[::100])


@pytest.mark.parametrize("target", TARGETS)
def test_the_kept_table_is_what_the_combs_say(target: str):
    """A few of the 1,250; `python benchmarks/lower_bound.py --check` verifies all."""
    with open(RESULTS / "lower-bound.csv", newline="") as file:
        (row,) = (row for row in csv.DictReader(file) if row["target"] == target)
    needed = Fraction(row["needed"])
    assert ceil(needed) == int(row["cells"])
    every = combs()
    # The last ones have 19 points of each class instead of 20.
    for number in (7, 300, 620, 1240, 1249):
        assert cells_for_comb(number, every[number], target, int(row["errors"])) >= needed


def test_a_triangle_around_a_point_of_the_other_class():
    """Of three corners at most two are in a cell without the middle: 40 / 20, so two cells."""
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 1.0], [0.5, 0.25]])
    labels = np.array([False, False, False, True])
    prices = np.full(4, 10, dtype=np.int64)
    assert cells_needed(points, labels, prices, 1000, 0) == 2
    # With an error at 5 all three corners are worth 25, and the dearest point costs 15.
    assert cells_needed(points, labels, prices, 5, 1) == Fraction(40 - 15, 25)


def test_what_is_proved_of_networks():
    least = smallest_possible(8)
    assert least == {"hidden units": 5, "weights": 7, "nonzeros": 13}
