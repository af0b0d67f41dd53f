"""The picture of Theorem L.1: the chance that random pruning leaves two layers without a path."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from prunelimits.arguments import checked_integer, checked_sizes, checked_text, shown
from prunelimits.connectivity import (
    disconnection_bounds,
    disconnection_probability,
    simulate_disconnection,
)
from prunelimits.viz.palette import BLUE, FAINT, GREY, INK, ORANGE, WHITE
from prunelimits.viz.picture import Picture


def disconnection_figure(
    kept: int,
    kept_next: int,
    widths: Sequence[int],
    *,
    models: int = 10_000,
    seed: int = 0,
    title: str | None = None,
) -> Figure:
    """The probability that two consecutive layers share no path, against their width.

    Four curves for randomly pruned layers of w x w weights: the exact probability, a simulation of
    it, and the bound of Theorem L.1 of
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075), corrected and as printed.
    Where the printed curve is above the exact one, it is no bound.

    Args:
        kept: Weights that stay in the first layer.
        kept_next: Weights that stay in the second.
        widths: The widths w; the bounds are drawn where w is above `kept + kept_next`.
        models: Networks that are drawn for each width of the simulation.
        seed: Of the simulation.
        title: What to write above.

    Raises:
        ValueError: If there are no widths, or a number is out of its range.
        TypeError: If a number is not an integer.

    Examples:
        >>> figure = disconnection_figure(3, 5, [10, 20, 40], models=100)
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['exact', 'simulated', 'bound, corrected', 'bound, as printed (not a bound)']
    """
    layers = (checked_integer("kept", kept, 0), checked_integer("kept_next", kept_next, 0))
    models = checked_integer("models", models, 1)
    seed = checked_integer("seed", seed)
    checked_text("title", title)
    widths = sorted(set(checked_sizes("widths", widths)))
    if not widths:
        raise ValueError("widths must hold at least one width, got none")
    for name, number in zip(("kept", "kept_next"), layers, strict=True):
        if number > (most := widths[0] ** 2):
            raise ValueError(
                f"{name} must be at most {most}, the weights of the narrowest of widths, "
                f"got {shown(number)}"
            )
    exact = [float(disconnection_probability((w,) * 3, layers)) for w in widths]
    drawn = [simulate_disconnection((w,) * 3, layers, models=models, seed=seed) for w in widths]
    bounded = [w for w in widths if w > sum(layers)]
    bounds = [disconnection_bounds(w, *layers) for w in bounded]

    figure = Picture((8.0, 4.6), facecolor=WHITE, layout="constrained")
    axes = figure.add_subplot(facecolor=WHITE)
    axes.plot(widths, exact, color=BLUE, linewidth=2.0, label="exact")
    axes.plot(widths, drawn, "o", color=INK, markersize=4, label="simulated")
    corrected, printed = [b.corrected for b in bounds], [b.printed for b in bounds]
    axes.plot(bounded, corrected, color=GREY, linestyle="--", label="bound, corrected")
    axes.plot(
        bounded, printed, color=ORANGE, linestyle=":", label="bound, as printed (not a bound)"
    )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("width", color=INK)
    axes.set_ylabel(f"probability of no path, {layers[0]} and {layers[1]} weights kept", color=INK)
    axes.tick_params(colors=GREY)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    axes.legend(frameon=False, labelcolor=INK)
    if title is not None:
        axes.set_title(title, color=INK)
    return figure
