"""The picture of a pruning limit: theory above practice, and what the theory is made from."""

from __future__ import annotations

from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from prunelimits.arguments import checked_instance, checked_text
from prunelimits.limits import (
    PruningLimit,
    PruningSweep,
    effective_distance,
    pruning_distances,
    statistical_dimension,
)
from prunelimits.viz.frame import draw_frame
from prunelimits.viz.palette import BLUE, GREY, INK, ORANGE, WHITE
from prunelimits.viz.picture import Picture

# Paul Tol's "muted" scheme, as for the methods of a study.
_CONSTRUCTIVE = "#cc6677"
_MEASURED = "#117733"
_SHARE = PercentFormatter(1.0, decimals=0, symbol=" %")
_CURVE_POINTS = 200
# What is smaller than the largest by so many powers of ten is drawn as if it were not.
_DECADES = 10


class _Mark(NamedTuple):
    """A fraction removed, as a vertical line."""

    removed: float
    colour: str
    dashes: str
    label: str


def limit_figure(
    limit: PruningLimit, sweep: PruningSweep | None = None, *, title: str | None = None
) -> Figure:
    """A pruning limit: where the dimension meets the number removed, and what pruning did.

    On the left, against the fraction of the weights removed: the statistical dimension from there
    as a share of the weights, by the published and by the exact formula; where it meets the
    diagonal is the prediction. Below, with a sweep, the rise of the loss and the accuracy of the
    pruned networks. Vertical lines are what is predicted (as one) and what was measured (dotted).
    On the right what the curves are made from: the sizes of the Hessian's eigenvalues, of which
    the published formula at its limit counts those far to the left of the line wholly and those
    far to the right not at all, and the sizes of the weights, removed up to the line.

    Args:
        limit: A network's limit.
        sweep: What pruning did to the same network; None: theory alone.
        title: What to write above.

    Raises:
        ValueError: If the sweep is of another number of weights.

    Examples:
        >>> from prunelimits.limits import pruning_limit
        >>> model = torch.nn.Linear(4, 1, bias=False)
        >>> batches = [(2 * torch.eye(4), torch.zeros(4, 1))]
        >>> limit = pruning_limit(model, torch.nn.functional.mse_loss, batches, epsilon=10.0)
        >>> [axes.get_xlabel() for axes in limit_figure(limit).axes]
        ['weights removed', 'size of an eigenvalue', 'size of a weight']
    """
    checked_instance("limit", limit, PruningLimit, "a PruningLimit")
    if sweep is not None:
        checked_instance("sweep", sweep, PruningSweep, "a PruningSweep")
    checked_text("title", title)
    if sweep is not None and sweep.weights != limit.weights:
        raise ValueError(
            f"sweep must be of the limit's {limit.weights} weights, got {sweep.weights}"
        )
    accurate = sweep is not None and not bool((sweep.test or sweep.train).accuracy.isnan().any())
    rows = 1 + (sweep is not None) + accurate
    figure = Picture((11.0, 2.2 + 2.5 * max(2, rows)), facecolor=WHITE, layout="constrained")
    columns = figure.add_gridspec(1, 2, width_ratios=(1.3, 1.0))
    left, right = columns[0].subgridspec(rows, 1), columns[1].subgridspec(2, 1)
    panels = [figure.add_subplot(left[row], facecolor=WHITE) for row in range(rows)]
    _draw_theory(panels[0], limit)
    if sweep is not None:
        _draw_loss(panels[1], limit, sweep)
    if sweep is not None and accurate:
        _draw_accuracy(panels[2], sweep)
    for axes in panels:
        for mark in _marks(limit, sweep, accurate=accurate):
            _draw_mark(axes, mark)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(_SHARE)
        axes.tick_params(labelbottom=axes is panels[-1])
    panels[-1].set_xlabel("weights removed", color=INK)
    sizes = [figure.add_subplot(right[row], facecolor=WHITE) for row in range(2)]
    _draw_eigenvalues(sizes[0], limit)
    _draw_magnitudes(sizes[1], limit)
    for axes in sizes:
        axes.set_xscale("log")
        axes.yaxis.set_major_formatter(_SHARE)
        axes.set_ylim(bottom=0)
    for axes in (*panels, *sizes):
        draw_frame(axes)
    named = {
        label: handle
        for axes in (*panels, *sizes)
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        named.values(),
        named.keys(),
        loc="outside lower center",
        ncols=3,
        frameon=False,
        labelcolor=INK,
    )
    if title is not None:
        figure.suptitle(title, color=INK)
    return figure


def _marks(limit: PruningLimit, sweep: PruningSweep | None, *, accurate: bool) -> list[_Mark]:
    marks = [
        _Mark(limit.predicted.removed, BLUE, "-", "predicted, published formula"),
        _Mark(limit.exact.removed, GREY, "-", "predicted, exact dimension"),
        _Mark(limit.constructive.removed, _CONSTRUCTIVE, "-", "predicted, quadratic model"),
    ]
    if sweep is not None:
        within = sweep.removed_within(limit.epsilon)
        marks.append(_Mark(within, ORANGE, ":", "measured, loss within epsilon"))
    if sweep is not None and sweep.test is not None and accurate:
        above = sweep.removed_above_dense()
        # Zero stands for a network that is never better than dense.
        if above:
            marks.append(_Mark(above, _MEASURED, ":", "measured, accuracy above dense"))
    return [
        mark._replace(label=f"{mark.label}: {100 * mark.removed:.1f} % removed") for mark in marks
    ]


def _draw_mark(axes: Axes, mark: _Mark) -> None:
    axes.axvline(
        mark.removed,
        color=mark.colour,
        linestyle=mark.dashes,
        linewidth=1.8 if mark.dashes == ":" else 1.1,
        zorder=1.5,
        label=mark.label,
    )


def _draw_theory(axes: Axes, limit: PruningLimit) -> None:
    removed = torch.linspace(0, limit.weights, _CURVE_POINTS, device="cpu").round().long().unique()
    distances = pruning_distances(limit.magnitudes)[removed].tolist()
    spectrum, epsilon, weights = limit.spectrum, limit.epsilon, limit.weights
    published = [statistical_dimension(spectrum, r, epsilon).value / weights for r in distances]
    nearer = [effective_distance(spectrum, r, epsilon) for r in distances]
    exact = [statistical_dimension(spectrum, r, epsilon).value / weights for r in nearer]
    shares = (removed / weights).tolist()
    axes.plot((0, 1), (0, 1), color=INK, linewidth=1.1, linestyle="--", label="weights removed")
    axes.plot(shares, published, color=BLUE, linewidth=2.0, label="dimension, published formula")
    axes.plot(shares, exact, color=GREY, linewidth=2.0, label="dimension, exact")
    for prediction, colour in ((limit.predicted, BLUE), (limit.exact, GREY)):
        axes.plot(prediction.removed, prediction.removed, "o", color=colour, markersize=6)
    axes.set_ylim(0, 1.05 * max(1, published[0]))
    axes.yaxis.set_major_formatter(_SHARE)
    axes.set_ylabel("statistical dimension,\nshare of the weights", color=INK)


def _draw_loss(axes: Axes, limit: PruningLimit, sweep: PruningSweep) -> None:
    axes.plot(sweep.removed, sweep.train.loss, color=INK, linewidth=1.6, label="training data")
    if sweep.test is not None:
        axes.plot(
            sweep.removed,
            sweep.test.loss,
            color=INK,
            linewidth=1.1,
            linestyle=":",
            label="test data",
        )
    allowed = float(sweep.train.loss[0]) + limit.epsilon
    axes.axhline(
        allowed, color=ORANGE, linewidth=1.1, linestyle="--", label="training loss + epsilon"
    )
    axes.set_yscale("log")
    axes.set_ylabel("loss", color=INK)


def _draw_accuracy(axes: Axes, sweep: PruningSweep) -> None:
    axes.plot(sweep.removed, sweep.train.accuracy, color=INK, linewidth=1.6)
    if sweep.test is not None:
        axes.plot(sweep.removed, sweep.test.accuracy, color=INK, linewidth=1.1, linestyle=":")
    axes.yaxis.set_major_formatter(_SHARE)
    axes.set_ylabel("accuracy", color=INK)


def _draw_eigenvalues(axes: Axes, limit: PruningLimit) -> None:
    spectrum = limit.spectrum
    shares = (spectrum.weights / len(spectrum.weights)).flatten()
    nodes = spectrum.nodes.flatten()
    edges = _edges(nodes.abs()[shares > 0])
    positive = _heights(nodes.abs(), shares * (nodes >= 0), edges)
    negative = _heights(nodes.abs(), shares * (nodes < 0), edges)
    axes.stairs(positive, edges, fill=True, color=BLUE, alpha=0.6, label="positive eigenvalues")
    if negative.any():
        axes.stairs(
            positive + negative,
            edges,
            baseline=positive.numpy(),
            fill=True,
            color=ORANGE,
            alpha=0.6,
            label="negative eigenvalues",
        )
    if limit.predicted.distance > 0:
        half = 2 * limit.epsilon / limit.predicted.distance**2
        axes.axvline(half, color=BLUE, linewidth=1.1, label="counts by half: 2 epsilon / R²")
    axes.set_ylabel("share of the eigenvalues", color=INK)
    axes.set_xlabel("size of an eigenvalue", color=INK)


def _draw_magnitudes(axes: Axes, limit: PruningLimit) -> None:
    sizes = limit.magnitudes
    edges = _edges(sizes)
    heights = _heights(sizes, torch.full_like(sizes, 1 / len(sizes)), edges)
    axes.stairs(heights, edges, fill=True, color=GREY, alpha=0.6, label="weights")
    if limit.predicted.removed_weights > 0:
        largest_removed = float(sizes[limit.predicted.removed_weights - 1])
        axes.axvline(max(largest_removed, float(edges[0])), color=BLUE, linewidth=1.1)
    axes.set_ylabel("share of the weights", color=INK)
    axes.set_xlabel("size of a weight", color=INK)


def _edges(sizes: Tensor) -> Tensor:
    """Bounds of bins of a third of a power of ten, the last of which holds the largest."""
    top = sizes.max().clamp(min=1e-30)
    decades = float(torch.log10(top / sizes.min().clamp(min=top * 10.0**-_DECADES)))
    return top * 10.0 ** (torch.arange(-int(3 * decades) - 1, 1, device="cpu").double() / 3)


def _heights(sizes: Tensor, shares: Tensor, edges: Tensor) -> Tensor:
    """The shares together in each bin; all that is smaller is in the first."""
    inside = sizes.clamp(min=float(edges[0]), max=float(edges[-1]))
    places = torch.bucketize(inside, edges).clamp(1, len(edges) - 1) - 1
    return torch.zeros(len(edges) - 1, dtype=torch.float64, device="cpu").index_add(
        0, places, shares
    )
