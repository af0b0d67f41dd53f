"""The picture of a sparse network: what each unit computes over the plane, and what joins them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.arguments import (
    checked_choice,
    checked_instance,
    checked_integer,
    checked_number,
    checked_tensor,
    checked_text,
)
from prunelimits.masks import check_bools
from prunelimits.models import MLP
from prunelimits.modes import in_plain_modes
from prunelimits.training import Loss
from prunelimits.types import Masks
from prunelimits.viz.class_names import checked_classes, class_labels
from prunelimits.viz.layout import Layout, Square, place
from prunelimits.viz.output_square import (
    check_points,
    draw_decision,
    draw_numbers,
    draw_plane,
    explained,
    pixel_centres,
)
from prunelimits.viz.palette import BLUE, DIVERGING, GREY, INK, ORANGE, WHITE
from prunelimits.viz.picture import Picture
from prunelimits.viz.subnetwork import Array, Subnetwork, subnetwork

_MOST_UNITS = 64
_MOST_PIXELS = 10_000
_CHIP = 0.28  # the side of a bias chip; a hidden unit's square has side 1
_LINE = 0.16  # the height of a line of the names of classes, in inches
_FAN = 0.13  # how far apart the edges of a unit leave or reach its square, at most


@in_plain_modes
def network_figure(
    model: MLP,
    masks: Masks | None = None,
    x: Tensor | None = None,
    y: Tensor | None = None,
    *,
    extent: float = 2.25,
    resolution: int = 256,
    title: str | None = None,
    classes: Sequence[str] | None = None,
    loss: Loss | None = None,
) -> Figure:  # what is drawn, and how it is told
    """The nonzero subnetwork of `model`, drawn as Figure 1 of the paper draws it.

    One square a unit shows its value after the ReLU over the plane `[-extent, extent]^2`, scaled by
    its own maximum there; x1 goes right, x2 up. The inputs stand on the left. The large square on
    the right is the decision: tanh(logit / 2), the probability of class 1 minus that of class 0,
    with the boundary as a dark line. Every nonzero weight is a curve, the wider the larger it is
    beside the network's largest; the chip on top of a square is the unit's bias. Blue is positive,
    orange negative, white zero. Hidden units without any nonzero weight or bias are left out.

    With `loss="mse"` the output is a number: the large square shows it in colours from the smallest
    number (orange) to the largest (blue), of `y` or, without it, over the plane.

    Parts have the `gid`, an SVG's `id`, `unit-{layer}-{unit}` (the inputs are layer 0),
    `bias-{layer}-{unit}` and `edge-{layer}-{unit}-{source}` for the weight of a unit on a source.

    Args:
        model: A network with 2 inputs and 1 output. It is not changed.
        masks: What is kept, by parameter name; None keeps every parameter.
        x: Points `(samples, 2)` to draw on the decision, thinned evenly to at most 2,000.
        y: Their classes `(samples,)`, 0 or 1; with `loss="mse"` their numbers.
        extent: Half the side of the plane shown.
        resolution: Pixels along a side; each shows the value at its centre.
        title: Instead of the widths, the number of nonzeros and, with `x`, the accuracy on it, or
            the R2.
        classes: What classes 0 and 1 are called, below the decision. None: nothing stands there.
        loss: What the network was trained by; only `"mse"` makes a difference.

    Raises:
        ValueError: If the model has not 2 inputs and 1 output, has parameters that are not finite,
            or has over 64 units to draw in a layer; if another argument does not fit the model.
        TypeError: If a mask is not a bool tensor.

    Source:
        [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075), Figure 1, Appendix I.

    Examples:
        >>> network_figure(MLP((2, 3, 1)), resolution=8).get_suptitle()
        '2-3-1  ·  13 nonzeros'
    """
    checked_instance("model", model, MLP, "an MLP")
    if masks is not None:
        check_bools(masks)
    checked_text("title", title)
    resolution = checked_integer("resolution", resolution, 2)
    checked_integer("resolution", resolution, most=_MOST_PIXELS)
    if model.widths[0] != 2 or model.widths[-1] != 1:
        raise ValueError(f"model must have 2 inputs and 1 output, got widths {model.widths}")
    extent = checked_number("extent", extent, above=0)
    if (x is None) != (y is None):
        raise ValueError(f"x and y go together, got {'y' if x is None else 'x'} alone")
    numbers = loss is not None and checked_choice("loss", loss, get_args(Loss)) == "mse"
    if x is not None and y is not None:
        checked_tensor("x", x)
        checked_tensor("y", y)
        check_points(x, y, numbers=numbers)
    classes = checked_classes(classes, 0 if numbers else 2)
    network = subnetwork(model, masks)
    for layer, units in enumerate(network.units):
        if len(units) > _MOST_UNITS:
            raise ValueError(
                f"layer {layer} has {len(units)} units with nonzero parameters, more than the"
                f" {_MOST_UNITS} that can be drawn legibly: prune further, or pass masks that do"
            )
    layout = place(network.units, lines=0 if classes is None and not numbers else 2 * _LINE)
    figure = Picture((layout.width * layout.inches, layout.height * layout.inches), facecolor=WHITE)
    canvas = figure.add_axes((0, 0, 1, 1), xlim=(0, layout.width), ylim=(0, layout.height))
    canvas.set_axis_off()
    _draw_edges(canvas, network, layout)
    _draw_captions(canvas, network, layout)
    last, output = _draw_units(figure, network, layout, extent, resolution)
    points = None if x is None or y is None else (x, y)
    heading = f"{'-'.join(map(str, model.widths))}  ·  {network.nonzeros} nonzeros"
    if numbers:
        colours = draw_numbers(last, output, extent, points)
        _draw_classes(canvas, layout, colours.labels())
    else:
        draw_decision(last, output, extent, points)
        if classes is not None:
            _draw_classes(canvas, layout, classes)
    if points is not None:
        heading += _told(network, points, numbers=numbers)
    text = heading if title is None else title
    figure.suptitle(text, y=1 - 0.35 / layout.height, va="top", color=INK, size=13)
    return figure


def _draw_edges(canvas: Axes, network: Subnetwork, layout: Layout) -> None:
    largest = max(np.abs(weight).max() for weight in network.weights)
    for layer, weight in enumerate(network.weights, start=1):
        leave, reach = _fan(weight != 0, axis=0), _fan(weight != 0, axis=1)
        for unit, source in np.argwhere(weight).tolist():
            start, end = layout.columns[layer - 1][source], layout.columns[layer][unit]
            share = float(abs(weight[unit, source]) / largest)
            thickness = (1 + 9 * share) * layout.inches
            edge = PathPatch(
                _curve(start, end, leave[unit, source], reach[unit, source]),
                fill=False,
                edgecolor=BLUE if weight[unit, source] > 0 else ORANGE,
                linewidth=thickness,
                capstyle="butt",
                path_effects=[withStroke(linewidth=thickness + 1, foreground=WHITE)],
                zorder=1 + share,  # large weights over small ones
            )
            edge.set_gid(f"edge-{layer}-{unit}-{source}")
            canvas.add_patch(edge)


def _fan(kept: NDArray[np.bool_], axis: int) -> Array:
    """How far above the middle of a square each edge of its unit meets it, in sides."""
    count = kept.sum(axis=axis, keepdims=True)
    rank = kept.cumsum(axis=axis) - 1
    return ((count - 1) / 2 - rank) * np.minimum(_FAN, 0.7 / np.maximum(count, 1))


def _curve(start: Square, end: Square, leave: float, reach: float) -> Path:
    """A cubic Bezier curve from the right of `start` to the left of `end`, level at both."""
    y0, y1 = start.middle + leave * start.side, end.middle + reach * end.side
    halfway = (start.right + end.left) / 2
    points = [(start.right, y0), (halfway, y0), (halfway, y1), (end.left, y1)]
    return Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])


def _draw_captions(canvas: Axes, network: Subnetwork, layout: Layout) -> None:
    last = len(network.units) - 1
    for layer, centre in enumerate(layout.centres):
        caption = {0: "inputs", last: "output"}.get(layer, f"layer {layer}")
        drawn, width = len(network.units[layer]), network.network.widths[layer]
        if drawn < width:
            caption += f"\n{drawn} of {width} units"
        y = layout.floor - 0.35
        canvas.text(centre, y, caption, ha="center", va="top", color=GREY, size=9)
    for name, square in zip(("x₁", "x₂"), layout.columns[0].values(), strict=True):
        x = square.left - 0.2
        canvas.text(x, square.middle, name, ha="right", va="center", color=GREY, size=11)


def _draw_classes(canvas: Axes, layout: Layout, classes: Sequence[str]) -> None:
    """Draws what the colours of the decision are called, each in a line, below its caption."""
    (square,) = layout.columns[-1].values()
    line = _LINE / layout.inches
    side = 0.6 * line
    for label, name in enumerate(class_labels(classes, 2)):
        middle = layout.floor - 0.35 - (label + 1.8) * line
        corner = square.left, middle - side / 2
        color = BLUE if label else ORANGE
        canvas.add_patch(Rectangle(corner, side, side, color=color, linewidth=0, clip_on=False))
        text = canvas.text(square.left + 1.5 * side, middle, name, va="center", color=GREY, size=8)
        text.set_parse_math(False)
        text.set_gid(f"class-{label}")
        extent = text.get_window_extent()
        room = 0.98 * canvas.bbox.x1 - extent.x0
        if extent.width > room:
            text.set_fontsize(8 * room / extent.width)


def _draw_units(
    figure: Figure, network: Subnetwork, layout: Layout, extent: float, resolution: int
) -> tuple[Axes, Array]:
    """Draws the square of each unit, and its chip; the output's square is still empty.

    Returns its axes, and the output over the plane.
    """
    centres = pixel_centres(extent, resolution)
    grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
    *values, logits = network.activations(torch.from_numpy(grid))
    scales = [np.abs(value).max(axis=0) for value in values]
    for layer, (value, scale) in enumerate(zip(values, scales, strict=True)):
        for unit, square in layout.columns[layer].items():
            axes = _add_square(figure, layout, square, f"unit-{layer}-{unit}")
            image = value[:, unit].reshape(resolution, resolution)
            draw_plane(axes, image, extent, scale=scale[unit] or 1.0)
            if layer > 0:
                _draw_chip(axes, square, network, layer, unit)
    last = len(values)
    square = layout.columns[last][0]
    axes = _add_square(figure, layout, square, f"unit-{last}-0")
    _draw_chip(axes, square, network, last, 0)
    return axes, logits.reshape(resolution, resolution)


def _told(network: Subnetwork, points: tuple[Tensor, Tensor], *, numbers: bool) -> str:
    """How good a network is on points, for the heading."""
    x, y = points
    if not numbers:
        return f"  ·  {100 * network.accuracy(x, y):.2f} %"
    share = explained(network.activations(x)[-1][:, 0], y)
    return "" if share is None else f"  ·  R2 {100 * share:.2f} %"


def _add_square(figure: Figure, layout: Layout, square: Square, gid: str) -> Axes:
    width, height = square.side / layout.width, square.side / layout.height
    corner = square.left / layout.width, square.bottom / layout.height
    axes = figure.add_axes((*corner, width, height), xticks=[], yticks=[], facecolor=WHITE)
    axes.spines[:].set(color=GREY, linewidth=0.6)
    axes.set_gid(gid)
    return axes


def _draw_chip(axes: Axes, square: Square, network: Subnetwork, layer: int, unit: int) -> None:
    largest = max(np.abs(bias).max() for bias in network.biases) or 1.0
    side = _CHIP / square.side
    chip = Rectangle(
        (0.5 - side / 2, 1 - side / 2),
        side,
        side,
        transform=axes.transAxes,
        clip_on=False,
        facecolor=DIVERGING(0.5 + 0.5 * float(network.biases[layer - 1][unit] / largest)),
        edgecolor=GREY,
        linewidth=0.6,
        zorder=10,
    )
    chip.set_gid(f"bias-{layer}-{unit}")
    axes.add_patch(chip)
