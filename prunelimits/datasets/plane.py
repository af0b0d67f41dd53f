"""Small tasks in the plane that people expect: circles, moons, exclusive or, Gaussians."""

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

# Some gigabytes.
_MOST_POINTS = 100_000_000
_MOST_CLASSES = 1_000_000


def circles(
    n: int = 1000,
    *,
    factor: float = 0.5,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """A circle of radius 1, class 0, around one of radius `factor`, class 1.

    The points of a circle are evenly spaced, from angle 0 on.

    Args:
        n: Points, half of them in each class; class 0 has the odd one.
        factor: Radius of the inner circle.
        noise: Standard deviation of Gaussian noise added to the coordinates.
        generator: Where noise comes from. None: a fresh one, seeded 0.
        dtype: Of both tensors.

    Returns:
        Points `(n, 2)` and labels 0 or 1 `(n,)`, class 0 first.

    Raises:
        ValueError: If a number is out of its range, or `dtype` is no floating-point type.
        TypeError: If an argument is of another kind.

    Examples:
        >>> x, y = circles(5)
        >>> x.norm(dim=1).tolist(), y.tolist()
        ([1.0, 1.0, 1.0, 0.5, 0.5], [0.0, 0.0, 0.0, 1.0, 1.0])
    """
    n = _checked_points(n)
    factor = checked_number("factor", factor, above=0, below=1)
    parts: list[Tensor] = []
    for points, radius in ((n - n // 2, 1.0), (n // 2, factor)):
        angle = 2 * math.pi * _numbers(points) / points
        parts.append(radius * torch.stack([angle.cos(), angle.sin()], 1))
    return _finish(parts, noise, generator, dtype)


def moons(
    n: int = 1000,
    *,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Two half circles of radius 1 that reach into each other.

    Class 0 is the upper half around (0, 0), class 1 the lower half around (1, 0.5), both with their
    ends and evenly spaced. Arguments, returned tensors and errors are those of `circles`.

    Examples:
        >>> x, y = moons(6)
        >>> x[y == 0].round(decimals=3).tolist()
        [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]
    """
    n = _checked_points(n)
    upper, lower = (
        math.pi * _numbers(points) / max(1, points - 1) for points in (n - n // 2, n // 2)
    )
    parts = [
        torch.stack([upper.cos(), upper.sin()], 1),
        torch.stack([1 - lower.cos(), 0.5 - lower.sin()], 1),
    ]
    return _finish(parts, noise, generator, dtype)


def exclusive_or(
    n: int = 1000,
    *,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Points drawn evenly from four squares: class 1 where one coordinate alone is positive.

    The squares are the quarters of `[-1, 1] x [-1, 1]`; of a class, half of the points lie in each
    of its two. Noise moves points across the axes, which are the border. Arguments, returned
    tensors and errors are those of `circles`; points come from `generator` too.

    Examples:
        >>> x, y = exclusive_or(1000)
        >>> bool(((x[:, 0] * x[:, 1] < 0) == (y == 1)).all())
        True
    """
    n = _checked_points(n)
    generator = _seeded(generator)
    parts: list[Tensor] = []
    for points, signs in ((n - n // 2, (1.0, 1.0)), (n // 2, (1.0, -1.0))):
        # Above zero, where torch's are 0 and more.
        size = 1 - torch.rand(points, 2, generator=generator, dtype=torch.float64, device="cpu")
        side = torch.where(_numbers(points) < points - points // 2, 1.0, -1.0)[:, None]
        parts.append(size * side * torch.tensor(signs, dtype=torch.float64, device="cpu"))
    return _finish(parts, noise, generator, dtype)


def gaussians(
    n: int = 1000,
    *,
    classes: int = 2,
    deviation: float = 0.5,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """One Gaussian a class, their centres evenly spaced on the circle of radius 1.

    Class c is around the angle `2 pi c / classes`. No classifier of two of them is right more often
    than `Phi(1 / deviation)` on average, the normal distribution's share below that number.

    Args:
        n: Points, as many in each class, the first ones with one more where that leaves some over.
        classes: How many.
        deviation: Of each Gaussian, in each coordinate.
        generator: Where points come from. None: a fresh one, seeded 0.
        dtype: Of the points, and of the labels of two classes.

    Returns:
        Points `(n, 2)` and labels from 0 on `(n,)`, class after class: of `dtype` for two classes,
        as `spiral`'s, int64 for more.

    Raises:
        ValueError: If a number is out of its range, or `dtype` is no floating-point type.
        TypeError: If an argument is of another kind.

    Examples:
        >>> x, y = gaussians(5, classes=3)
        >>> y.tolist()
        [0, 0, 1, 1, 2]
    """
    n = _checked_points(n)
    classes = checked_integer("classes", classes, 2, _MOST_CLASSES)
    deviation = checked_number("deviation", deviation, above=0)
    if n < classes:
        raise ValueError(f"n must be at least the number of classes, {classes}, got {n}")
    angles = 2 * math.pi * _numbers(classes) / classes
    centres = torch.stack([angles.cos(), angles.sin()], 1)
    parts = [
        centre.expand(n // classes + (number < n % classes), 2)
        for number, centre in enumerate(centres)
    ]
    return _finish(parts, deviation, generator, dtype)


def _checked_points(n: int) -> int:
    return checked_integer("n", n, 2, _MOST_POINTS)


def _numbers(count: int) -> Tensor:
    return torch.arange(count, dtype=torch.float64, device="cpu")


def _seeded(generator: torch.Generator | None) -> torch.Generator:
    given = checked_generator("generator", generator)
    return torch.Generator().manual_seed(0) if given is None else given


def _finish(
    parts: list[Tensor], noise: float, generator: torch.Generator | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    noise = checked_number("noise", noise, least=0)
    checked_instance("dtype", dtype, torch.dtype, "a torch.dtype")
    if not dtype.is_floating_point:
        raise ValueError(f"dtype must be a floating-point type, got {dtype}")
    generator = _seeded(generator)
    x = torch.cat(parts)
    if noise:
        x = x + noise * torch.randn(x.shape, generator=generator, dtype=x.dtype, device="cpu")
    sizes = torch.tensor([len(part) for part in parts], device="cpu")
    y = torch.arange(len(parts), device="cpu").repeat_interleave(sizes)
    return x.to(dtype), y.to(dtype) if len(parts) == 2 else y
