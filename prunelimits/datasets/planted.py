"""Tasks that a known sparse network solves: those of Plant 'n' Seek.

[Plant 'n' Seek: Can you find the winning ticket?](https://arxiv.org/abs/2111.11153).
`models.circle_network` and its like are networks that compute them, to be planted in wide ones by
`models.plant`: then it is known how sparse a network can be.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from prunelimits.arguments import (
    checked_generator,
    checked_instance,
    checked_integer,
    checked_number,
)

_MOST_POINTS = 100_000_000
_CIRCLE_BORDERS = (0.2, 0.5, 0.7)
"""Squared radii between the classes."""


def planted_circle(
    n: int = 10_000,
    *,
    flipped: float = 0.01,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Four classes, a disc and rings around it: the squares of their radii end at 0.2, 0.5, 0.7.

    Points are drawn evenly from `[-1, 1] x [-1, 1]`; what is farther out is class 3.

    Args:
        n: Points.
        flipped: Share of the labels, drawn at random, that are those of the next class (of class 3:
            0): the published noise.
        generator: Where points and noise come from. None: a fresh one, seeded 0.
        dtype: Of the points.

    Returns:
        Points `(n, 2)` and labels 0 to 3 `(n,)`, int64.

    Raises:
        ValueError: If a number is out of its range, or `dtype` is no floating-point type.
        TypeError: If an argument is of another kind.

    Examples:
        >>> x, y = planted_circle(1000, flipped=0)
        >>> [round(float((x[y == c] ** 2).sum(1).max()), 1) for c in range(3)]
        [0.2, 0.5, 0.7]
    """
    flipped = checked_number("flipped", flipped, least=0, most=1)
    generator = _checked(n, generator, dtype)
    x = _even(n, 2, generator)
    borders = torch.tensor(_CIRCLE_BORDERS, dtype=torch.float64, device="cpu")
    y = torch.bucketize((x**2).sum(1), borders)
    wrong = torch.rand(n, generator=generator, dtype=torch.float64, device="cpu") < flipped
    return x.to(dtype), torch.where(wrong, (y + 1) % 4, y)


def planted_relu(
    n: int = 10_000,
    *,
    noise: float = 0.01,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Regression of `max(0, x)`, with `x` drawn evenly from [-1, 1]: one unit a layer is enough.

    Args:
        n: Points.
        noise: Standard deviation of Gaussian noise added to the targets.
        generator: Where points and noise come from. None: a fresh one, seeded 0.
        dtype: Of both tensors.

    Returns:
        Inputs `(n, 1)` and targets `(n, 1)`.

    Raises:
        ValueError: If a number is out of its range, or `dtype` is no floating-point type.
        TypeError: If an argument is of another kind.

    Examples:
        >>> x, y = planted_relu(1000, noise=0)
        >>> bool((y == x.clamp(min=0)).all())
        True
    """
    noise = checked_number("noise", noise, least=0)
    generator = _checked(n, generator, dtype)
    x = _even(n, 1, generator)
    return x.to(dtype), _noisy(x.clamp(min=0), noise, generator).to(dtype)


def planted_helix(
    n: int = 10_000,
    *,
    noise: float = 0.01,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Regression of a helix that widens, `(t cos t, t sin t, t) / 8 pi` with `t = 5 pi + 3 pi x`.

    `x` is drawn evenly from [-1, 1]; a network has one input and three outputs. Arguments and
    errors are those of `planted_relu`.

    Returns:
        Inputs `(n, 1)` and targets `(n, 3)`.

    Examples:
        >>> x, y = planted_helix(1000, noise=0)
        >>> bool(torch.allclose(y[:, :2].norm(dim=1), y[:, 2]))
        True
    """
    noise = checked_number("noise", noise, least=0)
    generator = _checked(n, generator, dtype)
    x = _even(n, 1, generator)
    return x.to(dtype), _noisy(helix(x), noise, generator).to(dtype)


def helix(x: Tensor) -> Tensor:
    """The points `(n, 3)` of the helix at `x`, `(n, 1)`.

    Examples:
        >>> helix(torch.zeros(1, 1, dtype=torch.float64)).round(decimals=4).tolist()
        [[-0.625, 0.0, 0.625]]
    """
    t = 5 * math.pi + 3 * math.pi * x
    return torch.cat([t * t.cos(), t * t.sin(), t], 1) / (8 * math.pi)


def _checked(n: object, generator: object, dtype: object) -> torch.Generator:
    checked_integer("n", n, 1, _MOST_POINTS)
    given = checked_generator("generator", generator)
    kind = checked_instance("dtype", dtype, torch.dtype, "a torch.dtype")
    if not kind.is_floating_point:
        raise ValueError(f"dtype must be a floating-point type, got {kind}")
    return torch.Generator().manual_seed(0) if given is None else given


def _even(n: int, inputs: int, generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(n, inputs, generator=generator, dtype=torch.float64, device="cpu") - 1


def _noisy(y: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    return y + noise * torch.randn(y.shape, generator=generator, dtype=y.dtype, device="cpu")
