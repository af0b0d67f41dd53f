from __future__ import annotations

import math

import pytest
import torch

from prunelimits.limits import (
    Spectrum,
    published_removed,
    smeared_spectrum,
    statistical_dimension,
)


def quadrature() -> Spectrum:
    generator = torch.Generator().manual_seed(0)
    nodes = (19 * torch.rand(2, 12, generator=generator, dtype=torch.float64) + 0.1).sort().values
    weights = torch.rand(2, 12, generator=generator, dtype=torch.float64)
    return Spectrum(nodes, weights / weights.sum(1, keepdim=True), 300)


def test_the_smeared_dimension_by_a_plain_loop():
    spectrum, bins, epsilon = quadrature(), 400, 0.3
    probes = spectrum.nodes.tolist()
    low = sum(min(probe) for probe in probes) / 2 - 0.01
    high = sum(max(probe) for probe in probes) / 2 + 0.01
    variance = 1e-5 * max(1.0, high - low)
    above = below = 0.0
    for place in range(bins):
        point = low + (high - low) * place / (bins - 1)
        density = 0.0
        for probe, shares in zip(probes, spectrum.weights.tolist(), strict=True):
            for node, share in zip(probe, shares, strict=True):
                density += share * math.exp(-((point - node) ** 2) / (2 * variance)) / 2
        axis = 2 * epsilon / abs(point)
        above += density * axis / (1.7**2 + axis)
        below += density
    smeared = smeared_spectrum(spectrum, bins=bins, variance=1e-5)
    found = statistical_dimension(smeared, 1.7, epsilon).value / spectrum.size
    assert found == pytest.approx(above / below, rel=1e-9)
    assert smeared.nodes.shape == smeared.weights.shape == (1, bins)
    assert float(smeared.weights.sum()) == pytest.approx(1)
    assert smeared.size == 300


def test_a_grid_finer_than_the_gaussians_changes_nothing_and_a_coarser_one_does():
    two = quadrature()
    # With several probes the grid, between means of outermost nodes, leaves some of them out.
    spectrum = Spectrum(two.nodes[:1], two.weights[:1], two.size)

    def dimension(of: Spectrum) -> float:
        return statistical_dimension(of, 1.0, 0.3).value

    plain = dimension(spectrum)
    assert dimension(smeared_spectrum(spectrum, variance=1e-8)) == pytest.approx(plain, rel=0.01)
    assert dimension(smeared_spectrum(spectrum, bins=400)) != pytest.approx(plain, rel=0.1)


def test_the_published_steps_take_the_smeared_spectrum():
    spectrum = quadrature()
    magnitudes = torch.linspace(0.01, 3, 250, dtype=torch.float64)
    plain = published_removed(spectrum, magnitudes, 0.3)
    coarse = published_removed(smeared_spectrum(spectrum, bins=400), magnitudes, 0.3)
    assert abs(coarse - plain) > 0.01


def test_the_zero_mass_is_appended_after_the_smearing():
    smeared = smeared_spectrum(quadrature(), bins=400, variance=1e-4).with_zero_mass(0.25)
    flat = smeared.mean(lambda nodes: (nodes == 0).double()).value
    assert flat == pytest.approx(0.25)


def test_a_grid_that_misses_every_node_is_refused():
    spectrum = Spectrum.of_eigenvalues(torch.tensor([0.0, 5000.0]))
    with pytest.raises(ValueError, match=r"bins must be enough .* got 10 over a length of 5e"):
        smeared_spectrum(spectrum, bins=10, variance=1e-12)
    with pytest.raises(ValueError, match=r"bins must be .*2.*, got 1"):
        smeared_spectrum(spectrum, bins=1)
    with pytest.raises(TypeError, match="spectrum must be a Spectrum"):
        smeared_spectrum(torch.ones(3))  # pyright: ignore[reportArgumentType]
