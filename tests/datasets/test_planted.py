from __future__ import annotations

import math

import pytest
import torch

from prunelimits.datasets import planted_circle, planted_helix, planted_relu


def test_the_circle_has_the_published_rings():
    x, y = planted_circle(3000, flipped=0, dtype=torch.float64)
    for (a, b), label in zip(x.tolist(), y.tolist(), strict=True):
        assert label == sum(a * a + b * b > border for border in (0.2, 0.5, 0.7))
    assert bool((x.abs() <= 1).all())


def test_a_share_of_the_circles_labels_is_the_next_class():
    clean, noisy = planted_circle(50_000, flipped=0), planted_circle(50_000, flipped=0.03)
    assert torch.equal(clean[0], noisy[0])
    step = (noisy[1] - clean[1]) % 4
    assert step.unique().tolist() == [0, 1]
    assert float((step == 1).double().mean()) == pytest.approx(0.03, abs=0.003)


def test_targets_are_the_published_functions():
    x, y = planted_relu(100, noise=0, dtype=torch.float64)
    assert y.flatten().tolist() == [max(0.0, value) for value in x.flatten().tolist()]
    x, y = planted_helix(100, noise=0, dtype=torch.float64)
    for value, point in zip(x.flatten().tolist(), y.tolist(), strict=True):
        t = 5 * math.pi + 3 * math.pi * value
        expected = [t * math.cos(t), t * math.sin(t), t]
        assert point == pytest.approx([e / (8 * math.pi) for e in expected], abs=1e-12)


@pytest.mark.parametrize("make", [planted_relu, planted_helix])
def test_noise_has_the_deviation_asked_for(make):
    clean, noisy = make(30_000, noise=0), make(30_000, noise=0.05)
    assert torch.equal(clean[0], noisy[0])
    assert float((noisy[1] - clean[1]).std()) == pytest.approx(0.05, rel=0.03)
