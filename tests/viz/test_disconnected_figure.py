from __future__ import annotations

import io
from statistics import median

import pytest

from prunelimits.experiments import Run, RunResult
from prunelimits.viz.disconnected import disconnected_figure


def results() -> list[RunResult]:
    return [
        RunResult(Run(method, width, 20, recipe, 0), 30, kept + recipe, 1, 0.5, 1.0, 1.0)
        for method, width, kept in (("SNIP", 16, 20), ("SNIP", 64, 2), ("GMP", 16, 25))
        for recipe in range(4)
    ]


def test_markers_are_medians_and_bars_quartiles():
    figure = disconnected_figure(results(), title="Wasted")
    (axes,) = figure.axes
    assert axes.get_title() == "Wasted"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["SNIP", "GMP"]
    snip, gmp = axes.containers
    for container, kept in ((snip, [20, 2]), (gmp, [25])):
        line, _, (bars,) = container.lines
        shares = [[1 - (k + recipe) / 30 for recipe in range(4)] for k in kept]
        assert list(line.get_ydata()) == pytest.approx([median(values) for values in shares])
        for (low, high), values in zip(
            ([point[1] for point in segment] for segment in bars.get_segments()),
            shares,
            strict=True,
        ):
            # Of four values: a quarter of the way into the outer gaps' neighbours.
            ordered = sorted(values)
            assert low == pytest.approx(ordered[0] + 0.75 * (ordered[1] - ordered[0]))
            assert high == pytest.approx(ordered[2] + 0.25 * (ordered[3] - ordered[2]))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["16", "64"]
    # The methods stand beside each other.
    assert snip.lines[0].get_xdata()[0] != gmp.lines[0].get_xdata()[0]


def test_one_run_and_none():
    figure = disconnected_figure(results()[:1])
    drawing = io.BytesIO()
    figure.savefig(drawing, format="svg")
    assert drawing.tell() > 10_000
    with pytest.raises(ValueError, match="results must hold at least one, got none"):
        disconnected_figure([])
