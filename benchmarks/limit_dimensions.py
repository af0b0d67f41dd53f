"""The dimension that a subspace needs to meet an ellipsoid: formulas beside random subspaces.

    python benchmarks/limit_dimensions.py

For three spectra of 400 eigenvalues and several distances: what the published formula says, what
the effective distance says, what sampled projections say, and the median over random nested
subspaces of the dimension from which they meet the ellipsoid. Means over five draws of the
eigenvalues and of the offset, as shares of the dimension. Writes docs/results/limits-dimensions.csv
anew, in half a minute of one core; `limit_tables.py` makes a table of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import torch
from kept_rows import write_lines
from torch import Tensor

from prunelimits.limits import (
    Spectrum,
    cone_statistical_dimension,
    effective_distance,
    statistical_dimension,
)

TABLE = Path(__file__).parent.parent / "docs" / "results" / "limits-dimensions.csv"
SIZE, DRAWS, SUBSPACES = 400, 5, 20


class Case(NamedTuple):
    """An ellipsoid, and how far from its centre the point is."""

    name: str
    eigenvalues: Callable[[torch.Generator], Tensor]
    epsilon: float
    distance: float


def ball(_: torch.Generator) -> Tensor:
    """All axes alike."""
    return torch.ones(SIZE, dtype=torch.float64)


def log_uniform(generator: torch.Generator) -> Tensor:
    """From 1e-4 to 1."""
    return 10 ** (-4 * torch.rand(SIZE, generator=generator, dtype=torch.float64))


def two_levels(_: torch.Generator) -> Tensor:
    """Nine tenths flat."""
    return torch.tensor([1e-5] * (9 * SIZE // 10) + [1.0] * (SIZE // 10), dtype=torch.float64)


CASES = (
    Case("ball", ball, 0.05, 1.0),
    Case("ball", ball, 0.5, 1.0001),
    Case("ball", ball, 0.05, 5.0),
    Case("lambda log-uniform on [1e-4, 1]", log_uniform, 0.05, 1.0),
    Case("lambda log-uniform on [1e-4, 1]", log_uniform, 0.05, 5.0),
    Case("nine tenths 1e-5, one tenth 1", two_levels, 0.05, 1.0),
    Case("nine tenths 1e-5, one tenth 1", two_levels, 0.05, 5.0),
)
COLUMNS = ("ellipsoid", "epsilon", "distance", "published", "exact", "projected", "subspaces")


def published(eigenvalues: Tensor, case: Case) -> float:
    """The dimension needed by the published formula."""
    spectrum = Spectrum.of_eigenvalues(eigenvalues)
    return SIZE - statistical_dimension(spectrum, case.distance, case.epsilon).value


def exact(eigenvalues: Tensor, offset: Tensor, case: Case) -> float:
    """The same from the effective distance, with the offset's own shares of the axes."""
    spectrum = Spectrum.of_eigenvalues(eigenvalues)
    order = eigenvalues.argsort()
    weights = (offset.square() / offset.square().sum())[order][None]
    direction = Spectrum(spectrum.nodes, weights, SIZE, exact=True)
    nearer = effective_distance(spectrum, case.distance, case.epsilon, direction)
    return SIZE - statistical_dimension(spectrum, nearer, case.epsilon).value


def meeting(eigenvalues: Tensor, offset: Tensor, case: Case, generator: torch.Generator) -> float:
    """The median dimension from which random nested subspaces through the point meet the ellipsoid.

    By least squares: whether the least of z^T A z over offset + subspace is at most 1.
    """
    root = (eigenvalues / (2 * case.epsilon)).sqrt()
    target = root * offset
    found: list[int] = []
    for _ in range(SUBSPACES):
        directions = torch.randn(SIZE, SIZE, generator=generator, dtype=torch.float64)
        basis = torch.linalg.qr(root[:, None] * directions).Q
        reached = (basis.T @ target).square().cumsum(0)
        left = torch.cat([target @ target - torch.zeros(1).double(), target @ target - reached])
        found.append(int((left <= 1).nonzero()[0]))
    return float(torch.tensor(found, dtype=torch.float64).median())


def measured(case: Case) -> list[float]:
    """All four, as shares of the dimension, the mean over the draws."""
    draws: list[list[float]] = []
    for seed in range(DRAWS):
        generator = torch.Generator().manual_seed(seed)
        eigenvalues = case.eigenvalues(generator)
        offset = torch.randn(SIZE, generator=generator, dtype=torch.float64)
        offset *= case.distance / offset.norm()
        sampled = cone_statistical_dimension(eigenvalues, offset, case.epsilon, seed=seed)
        draws.append(
            [
                published(eigenvalues, case),
                exact(eigenvalues, offset, case),
                SIZE - sampled.value,
                meeting(eigenvalues, offset, case, generator),
            ]
        )
    return [mean(values) / SIZE for values in zip(*draws, strict=True)]


def main() -> None:
    """Measures all cases, and writes the file when all are done."""
    torch.set_num_threads(1)
    rows = [
        (case.name, case.epsilon, case.distance, *(f"{v:.4f}" for v in measured(case)))
        for case in CASES
    ]
    write_lines([COLUMNS, *rows], TABLE)


if __name__ == "__main__":
    main()
