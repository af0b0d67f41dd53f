"""The last square of a network's picture: its decision, or the number that it predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from torch import Tensor

from prunelimits.training.determination import determination
from prunelimits.viz.palette import BLUE, DIVERGING, INK, ORANGE
from prunelimits.viz.subnetwork import Array

_MOST_POINTS = 2000
_SHADE = 0.5  # the opacity of the plane, under its points


@dataclass(frozen=True)
class NumberColours:
    """Which number has which colour.

    Attributes:
        smallest: Orange; so is what is below.
        largest: Blue; so is what is above.
    """

    smallest: float
    largest: float

    @classmethod
    def of(cls, values: Array) -> Self:
        """From the smallest to the largest of some numbers."""
        return cls(float(values.min()), float(values.max()))

    def places(self, values: Array) -> Array:
        """Where numbers are, -1 for the smallest and 1 for the largest; 0 if these are the same.

        Examples:
            >>> NumberColours(0.0, 4.0).places(np.array([0.0, 3.0, 9.0])).tolist()
            [-1.0, 0.5, 1.0]
        """
        middle, half = (self.smallest + self.largest) / 2, (self.largest - self.smallest) / 2
        return np.clip((values - middle) / (half or 1.0), -1.0, 1.0)

    def labels(self) -> tuple[str, str]:
        """What stands beside orange and blue."""
        return f"{self.smallest:.4g}", f"{self.largest:.4g}"


def check_points(x: Tensor, y: Tensor, *, numbers: bool) -> None:
    """Raises unless points `(samples, 2)` have a class each, or a finite number.

    Raises:
        ValueError: Naming what is wrong.
    """
    if x.ndim != 2 or x.shape[1] != 2 or len(x) == 0:
        raise ValueError(f"x must have shape (samples, 2), got {tuple(x.shape)}")
    if y.shape != x.shape[:1]:
        what = "number" if numbers else "class"
        raise ValueError(f"y must have shape ({len(x)},), one {what} a point, got {tuple(y.shape)}")
    if numbers and (y.is_complex() or not y.isfinite().all()):
        raise ValueError(f"y must hold finite numbers, got {y[~y.isfinite()].tolist()[:5]}")
    if not numbers and not ((y == 0) | (y == 1)).all():
        raise ValueError(f"y must hold the classes 0 and 1, got {y.unique().tolist()[:5]}")


def pixel_centres(extent: float, resolution: int) -> Array:
    """Of the pixels along a side of a square that shows the plane `[-extent, extent]^2`."""
    return extent * ((2 * np.arange(resolution) + 1) / resolution - 1)


def draw_plane(axes: Axes, image: Array, extent: float, scale: float) -> AxesImage:
    """Draws values over the plane, from orange at `-scale` to blue at `scale`."""
    return axes.imshow(
        image,
        cmap=DIVERGING,
        vmin=-scale,
        vmax=scale,
        origin="lower",
        extent=(-extent, extent, -extent, extent),
        interpolation="auto",
    )


def draw_decision(
    axes: Axes, logits: Array, extent: float, points: tuple[Tensor, Tensor] | None
) -> None:
    """Draws tanh(logit / 2), its boundary, and points in the colours of their classes."""
    draw_plane(axes, np.tanh(logits / 2), extent, scale=1.0).set_alpha(_SHADE)
    if logits.min() < 0 < logits.max():
        centres = pixel_centres(extent, len(logits))
        axes.contour(centres, centres, logits, [0.0], colors=INK, linewidths=0.8)
    if points is not None:
        x, y = _thinned(*points)
        axes.scatter(x[:, 0], x[:, 1], s=3, linewidths=0, c=np.where(y == 1, BLUE, ORANGE))


def draw_numbers(
    axes: Axes, output: Array, extent: float, points: tuple[Tensor, Tensor] | None
) -> NumberColours:
    """Draws the output and the points; returns the colours, which are those of the points if any.

    Beyond the points a network grows without end, and they would all look alike.
    """
    colours = NumberColours.of(output if points is None else points[1].detach().cpu().numpy())
    draw_plane(axes, colours.places(output), extent, scale=1.0).set_alpha(_SHADE)
    if points is not None:
        x, y = _thinned(*points)
        shades = DIVERGING(0.5 + 0.5 * colours.places(y))
        axes.scatter(x[:, 0], x[:, 1], s=7, linewidths=0.25, edgecolors=INK, c=shades)
    return colours


def explained(predicted: Array, y: Tensor) -> float | None:
    """R2 of predictions `(n,)`; None where all numbers are the same."""
    numbers = y.detach().cpu().double()
    if (numbers == numbers[0]).all():
        return None
    error = (torch.from_numpy(predicted).double() - numbers).square().mean()
    return float(determination(error, numbers))


def _thinned(x: Tensor, y: Tensor) -> tuple[Array, Array]:
    """At most 2,000 points, evenly in the order of what they are.

    An even stride through alternating classes would drop one.
    """
    points, values = x.detach().cpu().numpy(), y.detach().cpu().numpy()
    order = np.argsort(values, kind="stable")
    chosen = order[np.linspace(0, len(y) - 1, min(len(y), _MOST_POINTS)).round().astype(int)]
    return points[chosen], values[chosen]
