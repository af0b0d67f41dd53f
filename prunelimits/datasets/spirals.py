"""Two intertwined spirals in the plane, one a class: with straight edges and with curved ones."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.arguments import (
    checked_generator,
    checked_instance,
    checked_integer,
    checked_number,
)

Points = NDArray[np.float64]

# The published construction, from the code of https://arxiv.org/abs/2407.04075.
_ANGLES = 17
_FIRST, _LAST, _TURN = math.pi, 5 * math.pi, 1.6 / 8 * 2 * math.pi
_PUBLISHED_POINTS = 50_000
# A curve is drawn as this many chords: the largest gap to the arc is below 1e-6 of its extent.
_FINE_ANGLES = 16 * 1000 + 1
# Some gigabytes.
_MOST_POINTS = 100_000_000


def cubist_spiral(
    n: int | None = None,
    *,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """The Cubist Spiral: two spirals whose edges are straight.

    Introduced by [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075), Section 3.2.
    The published points have mean 0 and standard deviation 1 in both coordinates; for every `n`
    the points lie on the same curve.

    Args:
        n: Points, half of them in each class (class 0 has the odd one), evenly spaced along the
            curve. None: the 49,982 points of the published code, which rounds the share of every
            straight edge down and repeats its ends.
        noise: Standard deviation of Gaussian noise added to the coordinates.
        generator: Where noise comes from. None: a fresh one, seeded 0.
        dtype: Of both tensors.

    Returns:
        Points `(n, 2)` and labels 0 or 1 `(n,)`, class 0 first, each class along its curve.

    Raises:
        ValueError: If `n` is below 2, `noise` is negative or `dtype` is no floating-point type.

    Examples:
        >>> x, y = cubist_spiral()
        >>> x.shape, int(y.sum())
        (torch.Size([49982, 2]), 24991)
    """
    arms = _arms(_ANGLES)
    mean, deviation = _published_moments()
    points = _published_points() if n is None else [_along(a, m) for a, m in _share(arms, n)]
    return _finish(points, mean, deviation, noise, generator, dtype)


def spiral(
    n: int = 50_000,
    *,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """The classical spiral: the arms of the Cubist Spiral with their curved edges.

    Arguments, returned tensors and errors are those of `cubist_spiral`.

    Examples:
        >>> x, y = spiral(1001)
        >>> x.shape, int(y.sum())
        (torch.Size([1001, 2]), 500)
    """
    arms = _arms(_FINE_ANGLES)
    points = [_along(arm, m) for arm, m in _share(arms, n)]
    dense = np.concatenate([_along(arm, 100_000) for arm in arms])
    return _finish(points, dense.mean(0), dense.std(0), noise, generator, dtype)


def _arms(angles: int) -> list[Points]:
    """The vertices of both classes, `(angles, 2)` each."""
    theta = np.linspace(_FIRST, _LAST, angles) + _TURN
    direction = np.stack([np.cos(theta), np.sin(theta)], axis=1)
    radius = (10 * theta + math.pi)[:, None]
    return [direction * (radius + 15), direction * (radius - 15)]


@cache
def _published_points() -> list[Points]:
    """Every edge gets its share of the points, rounded down, from its first end to its last."""
    result: list[Points] = []
    for arm in _arms(_ANGLES):
        lengths = np.linalg.norm(np.diff(arm, axis=0), axis=1)
        counts = (lengths / lengths.sum() * _PUBLISHED_POINTS / 2).astype(int)
        edges = zip(arm[:-1], arm[1:], counts, strict=True)
        result.append(np.concatenate([np.linspace(a, b, m) for a, b, m in edges]))
    return result


@cache
def _published_moments() -> tuple[Points, Points]:
    """Mean and sample standard deviation of the published points, per coordinate."""
    points = np.concatenate(_published_points())
    return points.mean(0), points.std(0, ddof=1)


def _share(arms: list[Points], n: int) -> list[tuple[Points, int]]:
    if (n := checked_integer("n", n, most=_MOST_POINTS)) < 2:
        raise ValueError(f"n must be an integer of at least 2, got {n}")
    return [(arms[0], n - n // 2), (arms[1], n // 2)]


def _along(vertices: Points, points: int) -> Points:
    """`points` points along a polyline, each in the middle of an equal piece of its length."""
    lengths = np.linalg.norm(np.diff(vertices, axis=0), axis=1)
    mileage = np.concatenate([[0.0], np.cumsum(lengths)])
    places = (np.arange(points) + 0.5) * (mileage[-1] / points)
    return np.stack([np.interp(places, mileage, axis) for axis in vertices.T], axis=1)


def _finish(
    points: list[Points],
    mean: Points,
    deviation: Points,
    noise: float,
    generator: torch.Generator | None,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    noise = checked_number("noise", noise, least=0)
    checked_generator("generator", generator)
    checked_instance("dtype", dtype, torch.dtype, "a torch.dtype")
    if not dtype.is_floating_point:
        raise ValueError(f"dtype must be a floating-point type, got {dtype}")
    x = torch.from_numpy((np.concatenate(points) - mean) / deviation)
    if noise:
        generator = generator or torch.Generator().manual_seed(0)
        x += noise * torch.randn(x.shape, generator=generator, dtype=torch.float64, device="cpu")
    y = torch.repeat_interleave(
        torch.arange(2, device="cpu"), torch.tensor([len(part) for part in points], device="cpu")
    )
    return x.to(dtype), y.to(dtype)
