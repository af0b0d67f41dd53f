"""Closed forms, projections by another way, and random subspaces that meet an ellipsoid."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import gammaln
from torch import Tensor

from prunelimits.limits import (
    Spectrum,
    cone_statistical_dimension,
    effective_distance,
    gaussian_width,
    statistical_dimension,
)
from prunelimits.limits.cone import project_on_cone


def log_uniform(size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 10 ** (-4 * torch.rand(size, generator=generator, dtype=torch.float64))


def two_levels(size: int, seed: int = 0) -> Tensor:
    return torch.tensor([1e-5] * (9 * size // 10) + [1.0] * (size // 10), dtype=torch.float64)


def offset_of(size: int, distance: float, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    offset = torch.randn(size, generator=generator, dtype=torch.float64)
    return distance * offset / offset.norm()


def exact_dimension(
    eigenvalues: Tensor, distance: float, epsilon: float, offset: Tensor | None = None
) -> float:
    spectrum = Spectrum.of_eigenvalues(eigenvalues)
    direction = None
    if offset is not None:
        order = eigenvalues.argsort()
        weights = (offset.square() / offset.square().sum())[order][None]
        direction = Spectrum(spectrum.nodes, weights, len(eigenvalues), exact=True)
    nearer = effective_distance(spectrum, distance, epsilon, direction)
    return statistical_dimension(spectrum, nearer, epsilon).value


@given(radius=st.floats(0.01, 10), distance=st.floats(0.01, 10), size=st.integers(1, 50))
def test_the_published_formula_for_a_ball(radius: float, distance: float, size: int):
    ball = Spectrum.of_eigenvalues(torch.full((size,), 1 / radius**2, dtype=torch.float64))
    found = statistical_dimension(ball, distance, 0.5).value
    assert found == pytest.approx(size * radius**2 / (distance**2 + radius**2), rel=1e-9)


@given(radius=st.floats(0.01, 10), distance=st.floats(0.01, 10), size=st.integers(1, 50))
def test_the_exact_one_for_a_ball(radius: float, distance: float, size: int):
    ball = Spectrum.of_eigenvalues(torch.full((size,), 1 / radius**2, dtype=torch.float64))
    found = effective_distance(ball, distance, 0.5)
    expected = max(0.0, distance**2 - radius**2)
    assert found**2 == pytest.approx(expected, rel=1e-9, abs=1e-9 * distance**2)


@given(
    exponents=st.lists(st.floats(-6, 2), min_size=1, max_size=20),
    distance=st.floats(0.01, 100),
    epsilon=st.floats(1e-4, 1),
)
def test_the_effective_distance_solves_its_equation(
    exponents: list[float], distance: float, epsilon: float
):
    values = 10 ** torch.tensor(exponents, dtype=torch.float64)
    spectrum = Spectrum.of_eigenvalues(values)
    found = effective_distance(spectrum, distance, epsilon)
    assert 0 <= found <= distance
    axes = 2 * epsilon / values
    total = float((distance**2 / (found**2 + axes)).mean())
    if found:
        assert total == pytest.approx(1, rel=1e-6)
    else:
        # The point is in the ellipsoid: c^T A c <= 1 on average over directions.
        assert total <= 1 + 1e-9
    dimension = statistical_dimension(spectrum, found, epsilon).value
    assert dimension >= statistical_dimension(spectrum, distance, epsilon).value * (1 - 1e-12)


def test_a_subspace_and_a_point_are_limits_of_ellipsoids():
    """Flat in 30 directions and steep in 70: a subspace, whose dimension is 30 from anywhere."""
    values = torch.tensor([1e-12] * 30 + [1e12] * 70, dtype=torch.float64)
    spectrum = Spectrum.of_eigenvalues(values)
    assert statistical_dimension(spectrum, 1.0, 0.5).value == pytest.approx(30, abs=1e-6)
    assert exact_dimension(values, 1.0, 0.5) == pytest.approx(30, abs=1e-6)
    found = cone_statistical_dimension(values, offset_of(100, 1.0), 0.5, samples=2000)
    # The cone is the subspace and half of a line more.
    assert abs(found.value - 30.5) < 4 * found.error
    steep = Spectrum.of_eigenvalues(torch.full((100,), 1e12, dtype=torch.float64))
    assert statistical_dimension(steep, 1.0, 0.5).value == pytest.approx(0, abs=1e-9)


def test_inside_and_nowhere():
    ball = torch.ones(20, dtype=torch.float64)
    spectrum = Spectrum.of_eigenvalues(ball)
    assert effective_distance(spectrum, 0.9, 0.5) == 0.0
    assert statistical_dimension(spectrum, 0.0, 0.5).value == 20.0
    assert cone_statistical_dimension(ball, offset_of(20, 0.9), 0.5) == (20.0, 0.0)


@pytest.mark.parametrize(("distance", "angle"), [(2.0, math.pi / 6), (1.01, math.asin(1 / 1.01))])
def test_a_circular_cone_s_dimension(distance: float, angle: float):
    """By integrating over the angle to the axis: the closed form of Amelunxen and others."""
    size = 40
    found = cone_statistical_dimension(
        torch.ones(size).double(), offset_of(size, distance), 0.5, samples=4_000
    )
    theta = np.linspace(0, math.pi, 20_001)
    log_constant = gammaln(size / 2) - gammaln((size - 1) / 2) - math.log(math.pi) / 2
    density = np.exp(log_constant) * np.sin(theta) ** (size - 2)
    beyond = np.clip(theta - angle, 0, None)
    share = np.where(beyond < math.pi / 2, np.cos(np.minimum(beyond, math.pi / 2)) ** 2, 0)
    expected = size * np.trapezoid(density * share, theta)
    assert abs(found.value - expected) < 4 * found.error
    assert found.error < 0.2


@settings(max_examples=50)
@given(seed=st.integers(0, 2**20), size=st.integers(2, 8), distance=st.floats(0.5, 5))
def test_projections_satisfy_moreaus_conditions(seed: int, size: int, distance: float):
    """They are in the cone, and the rest is orthogonal to them and in the polar cone."""
    inverse, centre = 10 * log_uniform(size, seed), offset_of(size, distance, seed)
    weighted = inverse * centre
    outside = float(weighted @ centre) - 1
    assume(outside > 0.01)
    points = offset_of(20 * size, 10.0, seed).view(20, size)
    ours, form = project_on_cone(points, inverse, centre)
    scale = 1e-7 * float(inverse.max() * (1 + distance**2) / min(1.0, outside))
    for point, found in zip(points, ours, strict=True):
        assert float(found @ form @ found) <= scale
        assert float(found @ weighted) >= -scale
        rest = point - found
        assert float(rest @ found) == pytest.approx(0, abs=scale)
        # The largest inner product with c + E is rest . c plus the support function of E.
        assert float(rest @ centre + (rest.square() / inverse).sum().sqrt()) <= scale


def test_the_ellipsoids_own_width():
    values = log_uniform(300) + 0.01
    width = gaussian_width(values, 0.3, samples=4000)
    bound = math.sqrt(2 * 0.3 * float((1 / values).sum()))
    assert 0.98 * bound < width.value < bound
    # One axis alone: the mean of |g| is the root of 2 / pi.
    segment = torch.tensor([1.0, 1e12, 1e12])
    found = gaussian_width(segment, 0.5, samples=20_000)
    assert abs(found.value - math.sqrt(2 / math.pi)) < 4 * found.error


def smallest_meeting_dimensions(
    eigenvalues: Tensor, offset: Tensor, epsilon: float, trials: int
) -> Tensor:
    """For random nested subspaces through the point, the dimension from which they meet the set.

    A plain least-squares problem: whether the least of z^T A z over c + subspace is at most 1.
    """
    size = len(eigenvalues)
    root = (eigenvalues / (2 * epsilon)).sqrt()
    target = root * offset
    generator = torch.Generator().manual_seed(4)
    found = []
    for _ in range(trials):
        directions = torch.randn(size, size, generator=generator, dtype=torch.float64)
        basis, _ = torch.linalg.qr(root[:, None] * directions)
        reached = (basis.T @ target).square().cumsum(0)
        left = torch.cat([torch.zeros(1).double(), reached])
        found.append(int((target @ target - left <= 1).nonzero()[0]))
    return torch.tensor(found).double()


CASES = [
    # eigenvalues, epsilon, distance, and whether R is much longer than most semi-axes
    (torch.ones, 0.05, 1.0, True),
    (torch.ones, 0.05, 5.0, True),
    (log_uniform, 0.05, 5.0, False),
    (log_uniform, 0.05, 1.0, False),
    (two_levels, 0.05, 5.0, True),
    (two_levels, 0.05, 1.0, False),
    (torch.ones, 0.4999, 1.0, False),
]


@pytest.mark.parametrize(("make", "epsilon", "distance", "claimed"), CASES)
def test_random_subspaces_meet_the_ellipsoid_where_it_is_predicted(
    make, epsilon: float, distance: float, claimed: bool
):
    size = 200
    values, offset = make(size).double(), offset_of(size, distance)
    met = smallest_meeting_dimensions(values, offset, epsilon, 40)
    middle = float(met.median())
    # The width of the transition is of order the root of the dimension.
    spread = 0.02 * size
    exact = size - exact_dimension(values, distance, epsilon, offset)
    assert abs(middle - exact) < spread
    sampled = cone_statistical_dimension(values, offset, epsilon)
    assert abs(middle - (size - sampled.value)) < spread + 3 * sampled.error
    published = statistical_dimension(Spectrum.of_eigenvalues(values), distance, epsilon)
    remaining = size - published.value
    assert remaining > exact - 1e-9
    assert (abs(remaining - middle) < spread) == claimed


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, math.inf])
def test_bad_epsilon(epsilon: float):
    ball = Spectrum.of_eigenvalues(torch.ones(3))
    for call in (
        lambda: statistical_dimension(ball, 1.0, epsilon),
        lambda: effective_distance(ball, 1.0, epsilon),
        lambda: gaussian_width(torch.ones(3), epsilon),
        lambda: cone_statistical_dimension(torch.ones(3), torch.ones(3), epsilon),
    ):
        with pytest.raises(ValueError, match="epsilon must be positive and finite, got"):
            call()


def test_other_bad_arguments():
    ball = Spectrum.of_eigenvalues(torch.ones(3))
    with pytest.raises(ValueError, match="distance must be at least 0 and at most"):
        statistical_dimension(ball, -1.0, 1.0)
    with pytest.raises(ValueError, match="distance must be at least 0 and at most"):
        effective_distance(ball, math.inf, 1.0)
    with pytest.raises(ValueError, match=r"must be \(size,\), got \(3,\) and \(4,\)"):
        cone_statistical_dimension(torch.ones(3), torch.ones(4), 1.0)
    with pytest.raises(ValueError, match="width would be infinite"):
        gaussian_width(torch.tensor([1.0, 0.0]), 1.0)
