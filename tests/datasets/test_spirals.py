from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from prunelimits.datasets import cubist_spiral, spiral

Point = tuple[float, float]


@cache
def published_vertices() -> tuple[list[Point], list[Point]]:
    """The corners of both classes, from the construction's formulas, one by one."""
    arms: tuple[list[Point], list[Point]] = ([], [])
    for i in range(17):
        theta = math.pi + i * (5 * math.pi - math.pi) / 16 + 1.6 / 8 * 2 * math.pi
        radius = 10 * theta + math.pi
        centre = (math.cos(theta) * radius, math.sin(theta) * radius)
        for arm, offset in zip(arms, (15, -15), strict=True):
            arm.append((centre[0] + offset * math.cos(theta), centre[1] + offset * math.sin(theta)))
    return arms


@cache
def published_points() -> tuple[list[Point], list[int]]:
    """Every edge gets int(share * 50,000 / 2) points, evenly spaced, both ends included."""
    points: list[Point] = []
    labels: list[int] = []
    for label, arm in enumerate(published_vertices()):
        lengths = [math.dist(arm[i], arm[i + 1]) for i in range(16)]
        for i in range(16):
            count = int(lengths[i] / sum(lengths) * 50_000 / 2)
            (x0, y0), (x1, y1) = arm[i], arm[i + 1]
            for k in range(count):
                t = k / (count - 1)
                points.append((x0 + t * (x1 - x0), y0 + t * (y1 - y0)))
                labels.append(label)
    return points, labels


@cache
def published_moments() -> tuple[Point, Point]:
    """Mean and standard deviation over n - 1 of the published points."""
    points, _ = published_points()
    n = len(points)
    means = [math.fsum(p[axis] for p in points) / n for axis in (0, 1)]
    squares = [math.fsum((p[axis] - means[axis]) ** 2 for p in points) for axis in (0, 1)]
    deviations = [math.sqrt(square / (n - 1)) for square in squares]
    return (means[0], means[1]), (deviations[0], deviations[1])


def test_the_published_points_one_by_one() -> None:
    points, labels = published_points()
    mean, deviation = published_moments()
    expected = [tuple((p[a] - mean[a]) / deviation[a] for a in (0, 1)) for p in points]
    x, y = cubist_spiral()
    assert x.shape == (49_982, 2)
    assert x.dtype == torch.float32
    assert y.dtype == torch.float32
    assert y.tolist() == labels
    np.testing.assert_allclose(x.numpy(), np.array(expected), rtol=0, atol=2.5e-7)
    exact, _ = cubist_spiral(dtype=torch.float64)
    np.testing.assert_allclose(exact.numpy(), np.array(expected), rtol=0, atol=1e-12)


def test_counts_extent_and_moments_of_the_published_points() -> None:
    x, y = cubist_spiral(dtype=torch.float64)
    assert (int((y == 0).sum()), int((y == 1).sum())) == (24_991, 24_991)
    assert x.min(0).values.tolist() == pytest.approx([-1.69, -2.20], abs=0.005)
    assert x.max(0).values.tolist() == pytest.approx([1.77, 1.74], abs=0.005)
    assert x.mean(0).tolist() == pytest.approx([0, 0], abs=1e-12)
    assert x.std(0).tolist() == pytest.approx([1, 1], abs=1e-12)


def test_checksum_of_the_published_points() -> None:
    x, _ = cubist_spiral(dtype=torch.float64)
    rounded = np.rint(x.numpy() * 10_000).astype("<i4")
    assert hashlib.sha256(rounded.tobytes()).hexdigest() == CHECKSUM


CHECKSUM = "4bee84e8986969bacd3d17ea3ebc623610dfc879a8a361ec53c43c35040758ba"


@pytest.mark.parametrize("data", [cubist_spiral, spiral])
@given(n=st.integers(2, 3000))
def test_exactly_n_points_in_two_halves(data: Callable[..., tuple], n: int) -> None:
    x, y = data(n)
    assert x.shape == (n, 2)
    assert y.tolist() == [0.0] * ((n + 1) // 2) + [1.0] * (n // 2)
    assert x.isfinite().all()


def places_on_polyline(points: np.ndarray, vertices: list[Point]) -> list[float]:
    """Arc length from the start of each point, which must lie on an edge of the polyline."""
    result: list[float] = []
    for point in points.tolist():
        walked, best = 0.0, (math.inf, 0.0)
        for start, end in pairwise(vertices):
            length = math.dist(start, end)
            direction = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
            along = (point[0] - start[0]) * direction[0] + (point[1] - start[1]) * direction[1]
            along = min(max(along, 0.0), length)
            nearest = (start[0] + along * direction[0], start[1] + along * direction[1])
            best = min(best, (math.dist(point, nearest), walked + along))
            walked += length
        assert best[0] < 1e-9
        result.append(best[1])
    return result


@pytest.mark.parametrize("n", [2, 3, 17, 400, 1001])
def test_n_points_are_evenly_spaced_on_the_published_edges(n: int) -> None:
    mean, deviation = (np.array(m) for m in published_moments())
    x, y = cubist_spiral(n, dtype=torch.float64)
    raw = x.numpy() * deviation + mean
    for label, vertices in enumerate(published_vertices()):
        total = sum(math.dist(a, b) for a, b in pairwise(vertices))
        places = places_on_polyline(raw[y.numpy() == label], vertices)
        gap = total / len(places)
        expected = [(i + 0.5) * gap for i in range(len(places))]
        np.testing.assert_allclose(places, expected, rtol=0, atol=1e-8)


def spiral_arm(offset: int) -> tuple[float, float, Callable[[float], float]]:
    """An arm rho = 10 t + pi + offset: its first and last t, and the arc length's derivative."""
    first = math.pi + 1.6 / 8 * 2 * math.pi
    return first, first + 4 * math.pi, lambda t: math.hypot(10, 10 * t + math.pi + offset)


def spiral_arc_length(offset: int, t: float) -> float:
    """Arc length of an Archimedean spiral from its centre, in closed form."""
    u = t + (math.pi + offset) / 10
    return 10 / 2 * (u * math.sqrt(1 + u * u) + math.asinh(u))


@cache
def spiral_moments() -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of both arms, each with half the weight, by quadrature."""

    def average(function: Callable[[float, float], float]) -> float:
        total = 0.0
        for offset in (15, -15):
            first, last, speed = spiral_arm(offset)

            def density(t: float, offset: int = offset, speed: Callable = speed) -> float:
                return function(10 * t + math.pi + offset, t) * speed(t)

            length = spiral_arc_length(offset, last) - spiral_arc_length(offset, first)
            total += integrate.quad(density, first, last, limit=200)[0] / length / 2
        return total

    means = [average(lambda rho, t, f=f: rho * f(t)) for f in (math.cos, math.sin)]
    squares = [average(lambda rho, t, f=f: (rho * f(t)) ** 2) for f in (math.cos, math.sin)]
    deviations = [math.sqrt(s - m * m) for s, m in zip(squares, means, strict=True)]
    return np.array(means), np.array(deviations)


@pytest.mark.parametrize("n", [2, 7, 1001, 20_000])
def test_the_classical_spiral_is_evenly_spaced_on_its_curve(n: int) -> None:
    mean, deviation = spiral_moments()
    x, y = spiral(n, dtype=torch.float64)
    raw = x.numpy() * deviation + mean
    for label, offset in enumerate((15, -15)):
        points = raw[y.numpy() == label]
        rho = np.hypot(*points.T)
        t = (rho - math.pi - offset) / 10
        np.testing.assert_allclose(points[:, 0], rho * np.cos(t), rtol=0, atol=1e-3)
        np.testing.assert_allclose(points[:, 1], rho * np.sin(t), rtol=0, atol=1e-3)
        first, last, _ = spiral_arm(offset)
        start, end = (spiral_arc_length(offset, angle) for angle in (first, last))
        gap = (end - start) / len(points)
        places = [spiral_arc_length(offset, angle) - start for angle in t]
        expected = (np.arange(len(points)) + 0.5) * gap
        np.testing.assert_allclose(places, expected, rtol=0, atol=2e-3)


def test_the_corners_of_the_cubist_spiral_lie_on_the_classical_one() -> None:
    for offset, arm in zip((15, -15), published_vertices(), strict=True):
        for i, (a, b) in enumerate(arm):
            t = spiral_arm(offset)[0] + i * math.pi / 4
            rho = 10 * t + math.pi + offset
            assert (a, b) == pytest.approx((rho * math.cos(t), rho * math.sin(t)))


DATA = [pytest.param(cubist_spiral, id="cubist"), pytest.param(spiral, id="classical")]


@pytest.mark.parametrize("data", DATA)
def test_noise_is_gaussian_reproducible_and_from_the_given_generator(
    data: Callable[..., tuple],
) -> None:
    clean, labels = data(20_000, dtype=torch.float64)

    def noisy(seed: int | None, noise: float = 0.1) -> torch.Tensor:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        x, y = data(20_000, noise=noise, generator=generator, dtype=torch.float64)
        assert torch.equal(y, labels)
        return x

    difference = noisy(1) - clean
    assert difference.mean(0).tolist() == pytest.approx([0, 0], abs=4 * 0.1 / math.sqrt(20_000))
    assert difference.std(0).tolist() == pytest.approx([0.1, 0.1], rel=0.03)
    torch.testing.assert_close(noisy(1, 0.3) - clean, 3 * difference)
    assert torch.equal(noisy(1), noisy(1))
    assert not torch.equal(noisy(1), noisy(2))
    assert torch.equal(noisy(None), noisy(0))
    generator = torch.Generator().manual_seed(1)
    first, _ = data(100, noise=0.1, generator=generator)
    second, _ = data(100, noise=0.1, generator=generator)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("data", DATA)
def test_the_global_random_state_stays(data: Callable[..., tuple]) -> None:
    state = torch.get_rng_state()
    data(100, noise=0.1)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("data", DATA)
def test_every_call_gives_new_tensors(data: Callable[..., tuple]) -> None:
    for n in (None, 100) if data is cubist_spiral else (100,):
        arguments = () if n is None else (n,)
        x, y = data(*arguments)
        kept = x.clone()
        x.fill_(7.0)
        y.fill_(7.0)
        again, labels = data(*arguments)
        assert torch.equal(again, kept)
        assert labels.unique().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_dtypes(data: Callable[..., tuple], dtype: torch.dtype) -> None:
    x, y = data(1000, dtype=dtype)
    assert x.dtype == y.dtype == dtype
    exact, _ = data(1000, dtype=torch.float64)
    assert torch.equal(x, exact.to(dtype))


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 1}, "n must be an integer of at least 2, got 1"),
        ({"n": 0}, "n must be an integer of at least 2, got 0"),
        ({"n": -5}, "n must be an integer of at least 2, got -5"),
        ({"n": 10.0}, r"n must be an integer, got 10\.0"),
        ({"n": True}, "n must be an integer, got True"),
        ({"n": 10**9}, "n must be at most 100000000, got 1000000000"),
        ({"n": 10, "noise": -0.1}, r"noise must be at least 0, got -0\.1"),
        ({"n": 10, "noise": math.nan}, "noise must be at least 0, got nan"),
        ({"n": 10, "noise": math.inf}, "noise must be finite and at least 0, got inf"),
        ({"n": 10, "dtype": torch.int64}, "dtype must be .*got torch.int64"),
    ],
)
def test_bad_arguments(data: Callable[..., tuple], arguments: dict, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        data(**arguments)
