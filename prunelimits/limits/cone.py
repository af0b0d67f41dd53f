"""The cone from a point to an ellipsoid: its statistical dimension by projecting on it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from prunelimits.limits.checks import checked_count, checked_seed, checked_vector
from prunelimits.limits.spectrum import Estimate
from prunelimits.limits.width import check_epsilon, gaussian_rows
from prunelimits.modes import in_plain_modes


@in_plain_modes
def cone_statistical_dimension(
    eigenvalues: Tensor, offset: Tensor, epsilon: float, *, samples: int = 200, seed: int = 0
) -> Estimate:
    """The statistical dimension of the cone from a point to a sublevel ellipsoid, by sampling.

    The mean of `|P g|^2`, where P projects a standard Gaussian g on the cone of all `t (c + x)`
    with `t >= 0` and `1/2 sum_i |lambda_i| x_i^2 <= epsilon`. A random subspace of dimension k
    through the point mostly meets the ellipsoid where `k + dimension > D`, and mostly does not
    where `k + dimension < D` ([Amelunxen, Lotz, McCoy and
    Tropp](https://arxiv.org/abs/1303.6672)).

    Args:
        eigenvalues: `(D,)`; the absolute values count.
        offset: c, from the point to the centre, in the basis of the eigenvectors, `(D,)`.
        epsilon: The size of the sublevel set.
        samples: How many Gaussian vectors to project.
        seed: Of these vectors.

    Returns:
        The mean and its standard error; D without error for a point inside the ellipsoid.

    Raises:
        ValueError: If `epsilon` is not positive or the shapes differ.

    Examples:
        >>> ball = torch.ones(100)  # of radius 1, for epsilon 1/2
        >>> offset = torch.zeros(100)
        >>> offset[0] = 2.0
        >>> width = cone_statistical_dimension(ball, offset, 0.5)
        >>> abs(width.value - 25.25) < 3 * width.error  # D sin^2 a + cos(2 a) / 2, a = 30 degrees
        True
    """
    samples = checked_count("samples", samples)
    seed = checked_seed(seed)
    checked_vector("eigenvalues", eigenvalues)
    checked_vector("offset", offset)
    if eigenvalues.dim() != 1 or eigenvalues.shape != offset.shape:
        raise ValueError(
            f"eigenvalues and offset must be (size,), got {tuple(eigenvalues.shape)} "
            f"and {tuple(offset.shape)}"
        )
    inverse = eigenvalues.detach().cpu().double().abs() / (2 * check_epsilon(epsilon))
    centre = offset.detach().cpu().double()
    if float(inverse * centre @ centre) <= 1:
        return Estimate(float(len(centre)), 0.0)
    rows = gaussian_rows(samples, len(centre), seed)
    squares = project_on_cone(rows, inverse, centre)[0].square().sum(1)
    return Estimate(float(squares.mean()), float(squares.std()) / math.sqrt(samples))


def project_on_cone(points: Tensor, inverse: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Each point's nearest in the cone to the ellipsoid `sum_i a_i (x_i - c_i)^2 <= 1`.

    Args:
        points: `(points, size)`.
        inverse: a, the inverse squares of the semi-axes.
        centre: c, outside the ellipsoid as seen from zero.

    Returns:
        The nearest points, and the matrix M of the cone: `y^T M y <= 0` on the centre's side.
    """
    weighted = inverse * centre
    form = torch.diag(inverse) - torch.outer(weighted, weighted) / (float(weighted @ centre) - 1)
    curvature, axes = torch.linalg.eigh(form)
    curvature[1:] = curvature[1:].clamp(min=0)
    # The one direction of negative curvature leads into the cone.
    axes[:, 0] *= torch.sign(axes[:, 0] @ weighted)
    return _project(points @ axes, curvature) @ axes.T, form


def _project(rows: Tensor, curvature: Tensor) -> Tensor:
    """Each row's nearest point of `{y : sum m_i y_i^2 <= 0, y_0 >= 0}`, where only m_0 < 0.

    Lagrange's conditions are y_i = g_i / (1 + mu m_i), with mu such that the form is zero. For
    y_0 >= 0 that is mu < 1/|m_0| where g_0 > 0, and mu > 1/|m_0| where g_0 < 0. On either side the
    form is monotone.
    """
    first, form = rows[:, 0], rows.square() @ curvature
    inside = (first >= 0) & (form <= 0)
    largest = -1 / curvature[0]
    # For g_0 > 0 the unknown is mu in (0, 1/|m_0|), otherwise nu = 1/mu in (0, |m_0|).
    ahead = first > 0
    # Not zero: in the polar cone nu tends to it, and flat axes divide nu by itself.
    low = torch.full_like(first, torch.finfo(first.dtype).tiny)
    high = torch.where(ahead, largest, -curvature[0])
    for _ in range(200):
        middle = (low + high) / 2
        if ((middle == low) | (middle == high)).all():
            break
        above = (_point(rows, curvature, middle, ahead).square() @ curvature) > 0
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    points = _point(rows, curvature, low, ahead)
    return torch.where(inside[:, None], rows, points)


def _point(rows: Tensor, curvature: Tensor, unknown: Tensor, ahead: Tensor) -> Tensor:
    scale = torch.where(
        ahead[:, None],
        1 / (1 + unknown[:, None] * curvature),
        unknown[:, None] / (unknown[:, None] + curvature),
    )
    return rows * scale
