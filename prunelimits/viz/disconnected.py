"""The picture of wasted budgets: how much of what each method keeps is on no path."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import quantiles

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from prunelimits.arguments import checked_items, checked_text
from prunelimits.experiments.table import RunResult
from prunelimits.viz.frame import draw_frame
from prunelimits.viz.method_styles import method_styles
from prunelimits.viz.palette import INK, WHITE
from prunelimits.viz.picture import Picture


def disconnected_figure(results: Iterable[RunResult], *, title: str | None = None) -> Figure:
    """The share of each method's nonzeros that lie on no path from input to output, by width.

    A marker is the median over all runs of a method and width, a bar goes from the lower quartile
    to the upper one.

    Args:
        results: Of any methods and widths.
        title: What to write above.

    Raises:
        ValueError: If there is no result.

    Examples:
        >>> from prunelimits.experiments import Run
        >>> run = Run("SNIP", width=16, keep=20, recipe=0, repeat=0)
        >>> figure = disconnected_figure([RunResult(run, 30, 15, 12, 0.9, 7e7, 4e8)])
        >>> [float(y) for y in figure.axes[0].get_lines()[0].get_ydata()]
        [0.5]
    """
    checked_text("title", title)
    shares: dict[str, dict[int, list[float]]] = {}
    for r in checked_items("results", results, RunResult):
        widths = shares.setdefault(r.run.method, {})
        widths.setdefault(r.run.width, []).append(1 - r.effective / max(1, r.nonzeros))
    if not shares:
        raise ValueError("results must hold at least one, got none")
    figure = Picture((8.0, 4.6), facecolor=WHITE, layout="constrained")
    axes = figure.add_subplot(facecolor=WHITE)
    styles = method_styles(shares)
    every = sorted({width for widths in shares.values() for width in widths})
    for place, (method, style) in enumerate(styles.items()):
        # Side by side, so that bars of one width do not hide each other.
        aside = 0.6 * ((place + 0.5) / len(styles) - 0.5)
        quartiles = {width: _quartiles(own) for width, own in sorted(shares[method].items())}
        axes.errorbar(
            [every.index(width) + aside for width in quartiles],
            [middle for _, middle, _ in quartiles.values()],
            [
                [middle - low for low, middle, _ in quartiles.values()],
                [high - middle for _, middle, high in quartiles.values()],
            ],
            color=style.colour,
            marker=style.marker,
            markersize=style.size + 1,
            linewidth=style.width - 0.2,
            elinewidth=0.8,
            label=method,
        )
    axes.set_xticks(range(len(every)), [str(width) for width in every])
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xlim(-0.5, len(every) - 0.5)
    axes.set_xlabel("width of the network that was pruned", color=INK)
    axes.set_ylabel("share of nonzeros on no path", color=INK)
    draw_frame(axes)
    figure.legend(loc="outside right upper", frameon=False, labelcolor=INK)
    if title is not None:
        axes.set_title(title, color=INK)
    return figure


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high
