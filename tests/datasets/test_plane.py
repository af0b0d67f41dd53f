from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from prunelimits.datasets import circles, exclusive_or, gaussians, moons


@pytest.mark.parametrize("n", [2, 3, 10, 101])
def test_circles_and_moons_are_those_of_scikit_learn(n: int):
    made = pytest.importorskip("sklearn.datasets")
    # There the odd point is in class 1, here in class 0.
    counts = (n - n // 2, n // 2)
    for ours, theirs in (
        (circles(n, dtype=torch.float64), made.make_circles(counts, shuffle=False, factor=0.5)),
        (moons(n, dtype=torch.float64), made.make_moons(counts, shuffle=False)),
    ):
        np.testing.assert_allclose(ours[0].numpy(), theirs[0], rtol=0, atol=1e-12)
        assert ours[1].tolist() == theirs[1].tolist()


def test_noise_is_gaussian_of_the_deviation_asked_for():
    clean, noisy = moons(20_000), moons(20_000, noise=0.25)
    apart = noisy[0] - clean[0]
    assert float(apart.mean()) == pytest.approx(0, abs=0.005)
    assert float(apart.std()) == pytest.approx(0.25, rel=0.02)
    assert torch.equal(noisy[1], clean[1])


def test_exclusive_or_fills_four_squares_evenly():
    x, y = exclusive_or(4001)
    quarters = 2 * (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    assert quarters.bincount().tolist() in ([1000, 1000, 1000, 1001], [1001, 1000, 1000, 1000])
    assert torch.equal(y, ((x[:, 0] > 0) != (x[:, 1] > 0)).float())
    assert float(x.abs().mean()) == pytest.approx(0.5, abs=0.02)
    assert float(x.abs().max()) <= 1


@pytest.mark.parametrize("deviation", [0.5, 1.0])
def test_no_line_is_better_on_two_gaussians_than_the_error_function_says(deviation: float):
    x, y = gaussians(100_000, deviation=deviation)
    best = 0.5 * (1 + math.erf(1 / deviation / math.sqrt(2)))
    right = ((x[:, 0] < 0) == (y == 1)).double().mean()
    assert float(right) == pytest.approx(best, abs=0.004)


def test_many_gaussians_stand_around_the_circle():
    x, y = gaussians(7 * 4000 + 3, classes=7, deviation=0.3)
    assert y.bincount().tolist() == [4001] * 3 + [4000] * 4
    for c in range(7):
        angle = 2 * math.pi * c / 7
        centre = torch.tensor([math.cos(angle), math.sin(angle)])
        torch.testing.assert_close(x[y == c].mean(0), centre, rtol=0, atol=0.02)
        torch.testing.assert_close(x[y == c].std(0), torch.full((2,), 0.3), rtol=0, atol=0.02)


@pytest.mark.parametrize("make", [circles, moons, exclusive_or, gaussians])
def test_the_same_seed_makes_the_same_points_and_the_global_state_stays(make):
    state = torch.get_rng_state()
    first, second = make(50), make(50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first[0], second[0])
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="n must be from 2 to 100000000, got 1"):
        make(1)
    with pytest.raises(ValueError, match="dtype must be a floating-point type"):
        make(10, dtype=torch.int64)
