"""The published code's spectrum: Lanczos nodes smeared over a grid, which can lose some of them."""

from __future__ import annotations

import math

import torch

from prunelimits.arguments import checked_instance, checked_integer, checked_number
from prunelimits.limits.spectrum import Spectrum

# What the grid reaches beyond the outermost nodes.
_MARGIN = 0.01
# A density at so many points takes half a gigabyte.
_MOST_BINS = 1_000_000


def smeared_spectrum(
    spectrum: Spectrum, *, bins: int = 100_000, variance: float = 1e-10
) -> Spectrum:
    """A spectrum as the published code sums over it: a density on a grid, each node a Gaussian.

    The grid of `bins` points reaches from the mean of the probes' smallest nodes less 0.01 to that
    of their largest plus 0.01, so of several probes it leaves out some. The Gaussians' variance is
    `variance` times the grid's length, or times 1 if that is shorter. From a length of 1 on the
    grid's steps are longer than a Gaussian is wide, and a node counts by how near a point of the
    grid happens to be. It is there to compare with the code's numbers:
    `published_removed(smeared_spectrum(spectrum), magnitudes, epsilon)`.
    That code appends its zero mass afterwards, as `.with_zero_mass(fraction)` does.

    Args:
        spectrum: The Hessian's.
        bins: Points of the grid.
        variance: Of a Gaussian, for a grid of length 1.

    Returns:
        A spectrum of one row, the grid's points as its nodes.

    Raises:
        TypeError: If an argument is of another kind.
        ValueError: If `bins` is below 2 or above a million, `variance` not positive, or the grid
            misses every node.

    Examples:
        >>> spectrum = Spectrum.of_eigenvalues(torch.tensor([0.0, 30.0, 60.0]))
        >>> smeared = smeared_spectrum(spectrum)
        >>> middle = smeared.mean(lambda nodes: ((nodes - 30).abs() < 1).double()).value
        >>> round(middle, 3)  # it stands for a third of the eigenvalues
        0.017
    """
    checked_instance("spectrum", spectrum, Spectrum, "a Spectrum")
    bins = checked_integer("bins", bins, 2, _MOST_BINS)
    variance = checked_number("variance", variance, above=0)
    low = float(spectrum.nodes.min(1).values.mean()) - _MARGIN
    high = float(spectrum.nodes.max(1).values.mean()) + _MARGIN
    points = torch.linspace(low, high, bins, dtype=torch.float64, device="cpu")
    density = spectrum.density(points, math.sqrt(variance * max(1.0, high - low)))
    total = density.sum()
    if not total > 0:
        raise ValueError(
            f"bins must be enough for a point of the grid to be near some node, got {bins} over a "
            f"length of {high - low:.3g}"
        )
    return Spectrum(points[None], (density / total)[None], spectrum.size)
