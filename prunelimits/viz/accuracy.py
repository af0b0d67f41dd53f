"""The picture of a search's results: accuracy against nonzero parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from prunelimits.arguments import checked_number, checked_text, shown
from prunelimits.pareto import check_points, pareto_front
from prunelimits.viz.frame import draw_frame
from prunelimits.viz.palette import BLUE, GREY, INK, ORANGE, WHITE
from prunelimits.viz.picture import Picture

_MARKERS = "Ds^vPX<>ph"


def accuracy_figure(
    points: Iterable[tuple[int, float]],
    *,
    paper: Mapping[str, tuple[int, float]] | None = None,
    target: float | None = None,
    title: str | None = None,
    measure: str = "accuracy",
) -> Figure:
    r"""The accuracies that networks of each size reached, and their Pareto front.

    The front is the step line of the best accuracy at or below each size. With a target, the
    smallest network that reaches it (accuracy >= target) is ringed, and named in the legend.

    Args:
        points: (nonzeros, accuracy) of each network, the accuracy a fraction in [0, 1].
        paper: Published results to compare with, by label; each has a marker of its own.
        target: The accuracy asked for, a fraction in [0, 1], drawn as a horizontal line.
        title: What to write above.
        measure: What the vertical axis is called.

    Raises:
        TypeError: If a number of nonzeros is not an integer.
        ValueError: If there are no points, a number of nonzeros is negative, or an accuracy or the
            target is not in [0, 1].

    Examples:
        >>> figure = accuracy_figure([(26, 0.91), (30, 0.96), (34, 0.95)], target=0.95)
        >>> [text.get_text() for text in figure.legends[0].get_texts()][2:]
        ['target 95 %', 'smallest at the target:\n30 nonzeros, 96.00 %']
    """
    checked_text("title", title)
    checked_text("measure", measure, absent=False)
    networks = check_points(points)
    if not networks:
        raise ValueError("points must hold at least one (nonzeros, accuracy), got none")
    if paper is not None and not isinstance(paper, Mapping):
        raise TypeError(f"paper must be points by label, got {shown(paper)}")
    if target is not None:
        target = checked_number("target", target)
    if target is not None and not 0.0 <= target <= 1.0:
        raise ValueError(f"target must be a fraction in [0, 1], got {target}")
    labels = list(paper or {})
    published = check_points((paper or {}).values(), "paper")

    figure = Picture((8.0, 4.6), facecolor=WHITE, layout="constrained")
    axes = figure.add_subplot(facecolor=WHITE)
    sizes = [size for size, _ in networks + published]
    margin = max(1.0, 0.05 * (max(sizes) - min(sizes)))
    left, right = max(min(sizes) - margin, -0.5), max(sizes) + margin
    front = pareto_front(networks)
    axes.margins(y=0.08)
    axes.plot(
        [size for size, _ in front] + [right],
        [accuracy for _, accuracy in front] + [front[-1][1]],
        drawstyle="steps-post",
        color=BLUE,
        linewidth=1.6,
        zorder=3,
        label="Pareto front",
    )
    axes.scatter(
        [size for size, _ in networks],
        [accuracy for _, accuracy in networks],
        s=min(28.0, max(6.0, 1500 / len(networks))),
        color=BLUE,
        alpha=0.9 if len(networks) <= 100 else 0.45,
        linewidths=0,
        zorder=2,
        label="networks found",
    )
    if target is not None:
        _draw_target(axes, front, target)
    for label, point, marker in zip(labels, published, cycle(_MARKERS), strict=False):
        axes.plot(
            *point,
            marker,
            markersize=8,
            color=ORANGE,
            markeredgecolor=INK,
            markeredgewidth=0.7,
            zorder=4,
            label=label,
        )
    bottom, top = axes.get_ylim()
    axes.set(xlim=(left, right), ylim=(max(bottom, -0.02), min(top, 1.02)))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 5, 10], integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.set_xlabel("nonzero parameters", color=INK)
    axes.set_ylabel(measure, color=INK)
    draw_frame(axes)
    # Beside the axes, where it hides no network.
    figure.legend(loc="outside right upper", frameon=False, labelcolor=INK)
    if title is not None:
        axes.set_title(title, color=INK)
    return figure


def _draw_target(axes: Axes, front: list[tuple[int, float]], target: float) -> None:
    name = f"target {100 * target:g} %"
    smallest = next((point for point in front if point[1] >= target), None)
    axes.axhline(
        target,
        color=GREY,
        linewidth=1.1,
        linestyle="--",
        zorder=1.5,
        label=name if smallest else f"{name}, not reached",
    )
    if smallest is None:
        return
    size, accuracy = smallest
    axes.axvline(size, color=GREY, linewidth=1.1, linestyle=":", zorder=1.5)
    axes.plot(
        size,
        accuracy,
        "o",
        markersize=11,
        markerfacecolor="none",
        markeredgecolor=INK,
        markeredgewidth=1.4,
        zorder=5,
        label=f"smallest at the target:\n{size} nonzeros, {100 * accuracy:.2f} %",
    )
