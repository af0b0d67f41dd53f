"""The picture of a study: accuracy against nonzeros, a front and a scatter for every method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from prunelimits.arguments import (
    checked_choice,
    checked_flag,
    checked_integer,
    checked_items,
    checked_number,
    checked_text,
    shown,
)
from prunelimits.experiments.summary import Size, front
from prunelimits.experiments.table import RunResult
from prunelimits.pareto import check_points, pareto_front
from prunelimits.viz.frame import draw_frame
from prunelimits.viz.method_styles import MethodStyle, method_styles
from prunelimits.viz.palette import GREY, INK, WHITE
from prunelimits.viz.picture import Picture

# Of what the methods are compared with.
_REFERENCES: tuple[tuple[str, Literal["-", "--", ":", "-."]], ...] = (
    ("*", "-"), ("d", "--"), ("H", ":"), ("8", "-."),
)  # fmt: skip
_AXES = {
    "nonzeros": "nonzero parameters",
    "effective": "nonzero parameters on a path from input to output",
    "trimmed": "nonzero parameters left after trimming",
}


def gap_figure(
    panels: Mapping[str, Iterable[RunResult]],
    *,
    references: Mapping[str, Iterable[tuple[int, float]]] | None = None,
    size: Size = "nonzeros",
    targets: Iterable[float] = (0.95, 0.995),
    scatter: bool = True,
    columns: int = 2,
    title: str | None = None,
    measure: str = "accuracy",
) -> Figure:
    """The Pareto front of every method, and beneath it the runs that it is drawn through.

    A front is the step line of the best accuracy at or below each size, over all recipes and
    repeats: a best of many runs. The scatter shows the best run of each method at each size. As in
    Figures 8, 11, 13, 16, 17 and 20 to 24 of
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075).

    Args:
        panels: Title -> results of any methods, such as those of one width; without any, no panel.
        references: Label -> (nonzeros, accuracy) of other networks, such as a search's, drawn in
            every panel: a black front where there are several.
        size: What the horizontal axis shows.
        targets: Accuracies drawn as horizontal lines, fractions in [0, 1].
        scatter: Whether to draw the scatter.
        columns: Panels side by side.
        title: What to write above.
        measure: What the vertical axis is called, such as `"R²"` for studies that predict numbers.

    Raises:
        ValueError: If there is no result, an accuracy or a target is not in [0, 1], or `columns`
            is below 1.

    Examples:
        >>> from prunelimits.experiments import Run
        >>> run = Run("SNIP", width=16, keep=20, recipe=0, repeat=0)
        >>> figure = gap_figure({"width 16": [RunResult(run, 30, 15, 12, 0.9, 7e7, 4e8)]})
        >>> [axes.get_title() for axes in figure.axes]
        ['width 16', '']
    """
    for name, value in (("panels", panels), ("references", references or {})):
        if not isinstance(value, Mapping):
            raise TypeError(f"{name} must be a mapping by title, got {shown(value)}")
    checked_choice("size", size, tuple(_AXES))
    checked_flag("scatter", scatter)
    columns = checked_integer("columns", columns)
    checked_text("title", title)
    checked_text("measure", measure, absent=False)
    filled = {
        name: own
        for name, results in panels.items()
        if (own := checked_items(f"panels[{name!r}]", results, RunResult))
    }
    others = {
        name: check_points(points, f"references[{name!r}]")
        for name, points in (references or {}).items()
    }
    if isinstance(targets, str | bytes | Mapping) or not isinstance(targets, Iterable):
        raise TypeError(f"targets must be fractions in [0, 1], got {shown(targets)}")
    targets = [checked_number("targets", target) for target in targets]
    methods = list(dict.fromkeys(r.run.method for results in filled.values() for r in results))
    if not methods:
        raise ValueError("panels must hold at least one result, got none")
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    for target in targets:
        if not 0 <= target <= 1:
            raise ValueError(f"targets must be fractions in [0, 1], got {target}")
    columns = min(columns, len(filled))
    rows, stack = -(-len(filled) // columns), 1 + scatter
    figure = Picture(
        (1.8 + 5.0 * columns, 0.6 + 3.0 * rows * stack), facecolor=WHITE, layout="constrained"
    )
    grid = figure.add_gridspec(rows * stack, columns)
    styles = method_styles(methods)
    for place, (name, results) in enumerate(filled.items()):
        row, column = divmod(place, columns)
        for layer in range(stack):
            axes = figure.add_subplot(grid[row * stack + layer, column], facecolor=WHITE)
            _frame(axes, size, targets, measure)
            if layer == 0:
                axes.set_title(name, color=INK)
            _draw(axes, results, size, styles, lines=layer == 0)
            _draw_references(axes, others, lines=layer == 0)
            axes.set_xlim(_limits(results, others, size))
            axes.set_ylim(min(0.5, *(r.accuracy for r in results)) - 0.02, 1.02)
    handles = [
        *(
            Line2D([], [], color=s.colour, marker=s.marker, markersize=s.size, linewidth=s.width)
            for s in styles.values()
        ),
        *(
            Line2D([], [], color=INK, marker=marker, linestyle=dashes)
            for _, (marker, dashes) in zip(others, cycle(_REFERENCES), strict=False)
        ),
    ]
    figure.legend(
        handles, [*styles, *others], loc="outside right upper", frameon=False, labelcolor=INK
    )
    if title is not None:
        figure.suptitle(title, color=INK)
    return figure


def _frame(axes: Axes, size: Size, targets: list[float], measure: str) -> None:
    for target in targets:
        axes.axhline(target, color=GREY, linewidth=0.9, linestyle="--", zorder=1.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xlabel(_AXES[size], color=INK)
    axes.set_ylabel(measure, color=INK)
    draw_frame(axes)


def _draw(
    axes: Axes,
    results: list[RunResult],
    size: Size,
    styles: Mapping[str, MethodStyle],
    *,
    lines: bool,
) -> None:
    for method, style in styles.items():
        own = [r for r in results if r.run.method == method]
        if not own:
            continue
        best: dict[int, float] = {}
        for result in own:
            at = getattr(result, size)
            best[at] = max(best.get(at, 0.0), result.accuracy)
        points = front(own, size) if lines else sorted(best.items())
        axes.plot(
            *zip(*points, strict=True),
            color=style.colour,
            marker=style.marker,
            markersize=style.size,
            markeredgewidth=0,
            linestyle="-" if lines else "",
            drawstyle="steps-post",
            linewidth=style.width,
            alpha=1.0 if lines else 0.8,
            # One's own is not hidden by others.
            zorder=3.5 if style.own else 3,
            label=method,
        )


def _draw_references(
    axes: Axes, others: Mapping[str, list[tuple[int, float]]], *, lines: bool
) -> None:
    for (name, points), (marker, dashes) in zip(others.items(), cycle(_REFERENCES), strict=False):
        axes.plot(
            *zip(*pareto_front(points), strict=True),
            color=INK,
            marker=marker,
            markersize=6,
            linestyle=dashes if lines else "",
            drawstyle="steps-post",
            linewidth=1.6,
            zorder=4,
            label=name,
        )


def _limits(
    results: list[RunResult], others: Mapping[str, list[tuple[int, float]]], size: Size
) -> tuple[float, float]:
    sizes = [getattr(r, size) for r in results]
    sizes += [at for points in others.values() for at, _ in points]
    # What it is compared with may go on to the right: its front is level there.
    right = max(getattr(r, size) for r in results)
    margin = max(1.0, 0.04 * (right - min(sizes)))
    return min(sizes) - margin, right + margin
