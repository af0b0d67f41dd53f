"""The statistical dimension of a sublevel set seen from a distance, and its Gaussian width.

Near a minimum the set of weights whose loss is at most `epsilon` higher is an ellipsoid with
semi-axes `r_i = sqrt(2 epsilon / |lambda_i|)`. All functions take the absolute values of the
eigenvalues, as published; `Spectrum.flattened` first makes negative curvature none.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from prunelimits.arguments import checked_instance, checked_number, shown
from prunelimits.limits.checks import checked_count, checked_seed, checked_vector
from prunelimits.limits.spectrum import Estimate, Spectrum
from prunelimits.modes import in_plain_modes

# Its square is a float too.
_FARTHEST = 1e150


def check_epsilon(epsilon: float) -> float:
    """`epsilon`, if it is positive and finite.

    Raises:
        ValueError: If not.
    """
    number = isinstance(epsilon, int | float) or hasattr(epsilon, "__array_interface__")
    if not number or isinstance(epsilon, bool):
        raise TypeError(f"epsilon must be a number, got {shown(epsilon)}")
    if not (epsilon > 0 and math.isfinite(epsilon)):
        raise ValueError(
            f"epsilon must be positive and finite, got {epsilon}: a sublevel set of no size is "
            "met by no pruned network"
        )
    return epsilon


def check_curved(spectrum: Spectrum) -> None:
    """Raises `ValueError` if all eigenvalues are zero: then every pruned network is as good."""
    if not (spectrum.nodes * (spectrum.weights > 0)).any():
        raise ValueError(
            "spectrum must have an eigenvalue that is not zero: with none the loss is flat, the "
            "sublevel set is everything, and all weights could be pruned"
        )


def statistical_dimension(spectrum: Spectrum, distance: float, epsilon: float) -> Estimate:
    """The published statistical dimension of the sublevel set seen from a distance R.

    `sum_i r_i^2 / (R^2 + r_i^2)` with `r_i^2 = 2 epsilon / |lambda_i|`, between 0 and the number
    of eigenvalues. It is close where R is much longer than most semi-axes and too
    small elsewhere; see `effective_distance` for what is exact in high dimension.
    [How Sparse Can We Prune A Deep Network](https://arxiv.org/abs/2306.05857), after
    [Larsen et al.](https://arxiv.org/abs/2107.05802)

    Raises:
        ValueError: If `epsilon` is not positive or `distance` is negative.

    Examples:
        >>> ball = Spectrum.of_eigenvalues(torch.ones(100))  # of radius 1, for epsilon 1/2
        >>> statistical_dimension(ball, 2.0, 0.5).value
        20.0
        >>> nearer = effective_distance(ball, 2.0, 0.5)
        >>> round(statistical_dimension(ball, nearer, 0.5).value, 9)
        25.0
    """
    checked_instance("spectrum", spectrum, Spectrum, "a Spectrum")
    doubled = 2 * check_epsilon(epsilon)
    squared = _check_distance(distance) ** 2
    mean = spectrum.mean(lambda nodes: doubled / (squared * nodes.abs() + doubled))
    return Estimate(spectrum.size * mean.value, spectrum.size * mean.error)


def effective_distance(
    spectrum: Spectrum, distance: float, epsilon: float, direction: Spectrum | None = None
) -> float:
    """The distance at which the published formula is exact in high dimension.

    The statistical dimension of the cone from a point to the ellipsoid is asymptotically that of
    the published formula at the root of `nu` instead of R, where

        sum_i q_i R^2 / (nu + r_i^2) = 1

    and `q_i` is the share of the offset along axis i: `1 / D` for a random direction. It is never
    longer than R, and 0 where the point is in the ellipsoid. For a ball `nu = R^2 - r^2`, and the
    dimension is `D r^2 / R^2`, which is right.

    *Why.* The dimension is D less the mean over Gaussian g of the least squared distance, over
    `t >= 0`, from `p = g - t c` to `t E`, with the offset c and the ellipsoid E. That distance is
    the maximum over nu of `sum_i p_i^2 nu / (nu + r_i^2) - nu t^2`, and `p_i` has the mean square
    `1 + t^2 c_i^2`. So it is linear in `t^2`: over t it has a minimum where
    `sum_i c_i^2 / (nu + r_i^2) >= 1`, and there `sum_i nu / (nu + r_i^2)`, which grows with nu, is
    left.

    Args:
        spectrum: The Hessian's.
        distance: R, from the pruned point to the minimum.
        epsilon: The size of the sublevel set.
        direction: The offset's `direction_spectrum`. None: a random direction.

    Raises:
        ValueError: If `epsilon` is not positive or `distance` is negative.
    """
    checked_instance("spectrum", spectrum, Spectrum, "a Spectrum")
    if direction is not None:
        checked_instance("direction", direction, Spectrum, "a Spectrum")
    doubled = 2 * check_epsilon(epsilon)
    squared = _check_distance(distance) ** 2
    seen = spectrum if direction is None else direction

    def excess(nu: float) -> float:
        return seen.mean(lambda n: squared * n.abs() / (nu * n.abs() + doubled)).value - 1

    if excess(0.0) <= 0:
        return 0.0
    low, high = 0.0, squared
    # Halving to the last bit: `excess` falls, and is at most 0 at R squared.
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return math.sqrt(high)


@in_plain_modes
def gaussian_width(
    eigenvalues: Tensor, epsilon: float, *, samples: int = 1000, seed: int = 0
) -> Estimate:
    """The ellipsoid's own Gaussian width, the mean of `sqrt(sum_i r_i^2 g_i^2)`, by sampling.

    At most `sqrt(2 epsilon sum_i 1 / |lambda_i|)`, and close to it unless few axes dominate.

    Raises:
        ValueError: If `epsilon` is not positive or an eigenvalue is zero: then it is infinite.

    Examples:
        >>> width = gaussian_width(torch.ones(400), 0.5)  # the unit ball's is 20 - 1/80
        >>> abs(width.value - 19.9875) < 3 * width.error
        True
    """
    check_epsilon(epsilon)
    samples = checked_count("samples", samples)
    seed = checked_seed(seed)
    checked_vector("eigenvalues", eigenvalues)
    curvature = eigenvalues.detach().cpu().double().abs()
    if not (curvature > 0).all():
        raise ValueError("eigenvalues must not be zero: the ellipsoid's width would be infinite")
    normal = gaussian_rows(samples, len(curvature), seed)
    values = (normal.square() @ (2 * epsilon / curvature)).sqrt()
    return Estimate(float(values.mean()), float(values.std()) / math.sqrt(samples))


def gaussian_rows(samples: int, size: int, seed: int) -> Tensor:
    """Standard normal numbers, float64 `(samples, size)`."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, size, generator=generator, dtype=torch.float64, device="cpu")


def _check_distance(distance: float) -> float:
    return checked_number("distance", distance, least=0, most=_FARTHEST)
