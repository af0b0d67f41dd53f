"""Starts that know the spiral's levels: the levels by a plain loop, and what they are good for."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from damped_newton import Network, outputs
from level_starts import (
    CENTRE,
    LevelStarts,
    Points,
    Way,
    accuracies,
    from_ray,
    levels_of,
    line_starts,
    smallest,
    spiral_points,
    trained,
    with_cuts,
    with_levels,
)

from prunelimits.datasets import cubist_spiral
from tests.experiments.compiler import needs_compiler

pytestmark = needs_compiler

SMALL = LevelStarts(starts=32, going_on=16, cut=4, draws=4, finish_points=512)


def every_parameter(widths: tuple[int, ...]) -> Network:
    size = sum(rows * (columns + 1) for columns, rows in pairwise(widths))
    return Network(widths, np.ones(size, np.bool_))


def test_arms_begin_on_one_ray_and_turn_twice_round_the_centre() -> None:
    points = spiral_points(2_000)
    for label in (0, 1):
        own = points.angles[points.y == label]
        assert own[0] == pytest.approx(0, abs=0.02)
        assert own[-1] == pytest.approx(4 * math.pi, abs=0.02)
        assert (np.diff(own) > 0).all()


def test_the_centre_is_where_the_vertices_of_both_arms_have_one_direction() -> None:
    # A vertex of one class lies farther out on the ray of the other's.
    x, y = (each.double().numpy() for each in cubist_spiral())
    ends = [x[y == label][[0, -1]] - CENTRE for label in (0, 1)]
    for (ax, ay), (bx, by) in zip(*ends, strict=True):
        assert abs(ax * by - ay * bx) / math.hypot(ax, ay) / math.hypot(bx, by) < 1e-5


def plain_levels(points: Points, ray: float, outwards: bool) -> list[int]:
    """Counted along the ray's own turn: crossings of the ray on the way along the arm."""
    result: list[int] = []
    for angle, label in zip(points.angles.tolist(), points.y.tolist(), strict=True):
        turn = 0
        while angle >= ray + 2 * math.pi * (turn + 1):
            turn += 1
        while angle < ray + 2 * math.pi * turn:
            turn -= 1
        result.append(2 * turn + (1 if label == 0 else 0))
    low, high = min(result), max(result)
    return [level - low if outwards else high - level for level in result]


@pytest.mark.parametrize("outwards", [True, False])
@pytest.mark.parametrize("ray", [-0.3, 0.0, 0.2, 2.0])
def test_levels_are_those_of_a_plain_loop(ray: float, outwards: bool) -> None:
    points = spiral_points(200)
    rays, ways = np.array([ray], np.float32), np.array([outwards])
    found = levels_of(points, rays, ways)[0]
    assert found.tolist() == plain_levels(points, float(rays[0]), outwards)


def test_a_level_tells_the_class() -> None:
    points = spiral_points(400)
    rays = np.linspace(-1, 1, 7).astype(np.float32)
    for levels in levels_of(points, rays, np.arange(7) % 2 == 0):
        odd = levels % 2 == 1
        assert (odd == (points.y == 1)).all() or (odd == (points.y == 0)).all()


def test_angles_from_a_ray_are_those_of_directions() -> None:
    points = spiral_points(100)
    rays = np.array([0.4, -2.0], np.float32)
    for ray, found in zip(rays, from_ray(points, rays), strict=True):
        for angle, own in zip(points.angles, found, strict=True):
            assert math.cos(own) == pytest.approx(math.cos(angle - ray), abs=1e-4)
            assert 0 <= own <= math.pi + 1e-6


def test_lines_of_starts_pass_between_points() -> None:
    net = every_parameter((2, 5, 3, 1))
    starts = line_starts(net, 200, np.random.default_rng(0))
    lines = np.concatenate([starts[:, :10].reshape(-1, 2), starts[:, 10:15].reshape(-1, 1)], 1)
    assert np.hypot(lines[:, 0], lines[:, 1]) == pytest.approx(1)
    x = spiral_points(1_000).x
    sides = x @ lines[:, :2].T + lines[:, 2]
    both = (sides > 0).any(0) & (sides < 0).any(0)
    assert both.mean() > 0.98


def test_parameters_that_are_pruned_start_at_zero() -> None:
    kept = np.arange(len(every_parameter((2, 5, 3, 1)).kept)) % 3 > 0
    starts = line_starts(Network((2, 5, 3, 1), kept), 20, np.random.default_rng(0))
    assert not starts[:, ~kept].any()
    assert starts[:, kept].all()


def test_the_smallest_come_first_and_what_is_no_number_last() -> None:
    assert smallest(np.array([3, np.nan, 1, 2, 1], np.float32), 4).tolist() == [2, 4, 3, 0]


def test_a_single_unit_is_not_asked_to_cut() -> None:
    how = LevelStarts()
    assert {way.behind for way in how.of((2, 4, 1, 3, 1))} == {1}
    assert {way.behind for way in how.of((2, 4, 3, 1, 1))} == {2}
    assert {way.behind for way in how.of((2, 3, 2, 3, 1))} == {1, 2}
    assert not how.of((2, 3, 1, 1, 1))


def test_levels_are_learned_and_stay_while_they_are_cut() -> None:
    net = every_parameter((2, 5, 2, 3, 1))
    known = sum(net.sizes()[:2])
    reader = Network((2, 5, 2, 1), np.ones(known + 3, np.bool_))
    random = np.random.default_rng(0)
    levels = with_levels(reader, Way(1), SMALL, random)
    assert (np.diff(levels.error) >= 0).all()
    assert levels.error[0] < 0.05
    assert ((levels.top >= 3) & (levels.top <= 5)).all()
    cut = with_cuts(net, 2, levels, SMALL, random)
    assert np.array_equal(cut[:, :known], levels.copies[:, :known])


def test_the_record_at_995_is_nearly_reached_again_from_its_widths() -> None:
    """Every parameter of the widths of the smallest network known: more than enough of them."""
    net = every_parameter((2, 4, 1, 3, 1))
    found = trained(net, replace(SMALL, starts=80, cut=8), np.random.default_rng(1))
    assert found.early > 0.96
    points = spiral_points(2_000)
    best = accuracies(net, found.copies, points)
    right = (outputs(net, found.copies[:1], points.x)[0] > 0) == (points.y == 1)
    assert best[0] == pytest.approx(right.mean())
    assert best.max() > 0.96


def test_a_network_depends_on_its_own_random_numbers_only() -> None:
    net = every_parameter((2, 3, 1, 3, 1))
    one = trained(net, SMALL, np.random.default_rng(3))
    trained(every_parameter((2, 3, 2, 2, 1)), SMALL, np.random.default_rng(4))
    other = trained(net, SMALL, np.random.default_rng(3))
    assert np.array_equal(one.copies, other.copies)


def test_what_cannot_learn_levels_is_not_cut() -> None:
    net = every_parameter((2, 1, 1, 2, 1))
    found = trained(net, SMALL, np.random.default_rng(0))
    assert found.error > SMALL.most_error
    assert found.early == 0
    assert len(found.copies) == 0
