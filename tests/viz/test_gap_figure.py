from __future__ import annotations

import io

import pytest

from prunelimits.experiments import PAPER_METHODS, Run, RunResult, front
from prunelimits.viz.gap import gap_figure

NAMES = [type(method).__name__ for method in PAPER_METHODS]


def results(width: int) -> list[RunResult]:
    return [
        RunResult(
            Run(name, width, keep, recipe, 0), keep + 10 + recipe, keep, keep - 2,
            min(1.0, 0.5 + 0.01 * keep - 0.02 * recipe - 0.01 * place), 1e8, 1e9,
        )
        for place, name in enumerate(NAMES)
        for keep in (15, 20, 40, 50)
        for recipe in range(3)
    ]  # fmt: skip


def lines(axes):
    return {item.get_label(): item for item in axes.lines if not item.get_label().startswith("_")}


@pytest.mark.parametrize("size", ["nonzeros", "effective", "trimmed"])
def test_fronts_above_and_the_best_of_each_size_below(size):
    runs = results(16)
    search = [(30, 0.96), (45, 0.99), (40, 0.9)]
    figure = gap_figure({"width 16": runs}, references={"search": search}, size=size)
    above, below = figure.axes
    assert above.get_title() == "width 16"
    for name in NAMES:
        own = [r for r in runs if r.run.method == name]
        assert list(zip(*lines(above)[name].get_data(), strict=True)) == front(own, size)
        best = {}
        for result in own:
            at = getattr(result, size)
            best[at] = max(best.get(at, 0), result.accuracy)
        assert dict(zip(*lines(below)[name].get_data(), strict=True)) == best
        assert lines(below)[name].get_linestyle() == "None"
    assert list(zip(*lines(above)["search"].get_data(), strict=True)) == [(30, 0.96), (45, 0.99)]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [*NAMES, "search"]


def test_methods_can_be_told_apart_in_every_panel():
    figure = gap_figure({f"width {w}": results(w) for w in (3, 7, 64)}, scatter=False)
    assert [axes.get_title() for axes in figure.axes] == ["width 3", "width 7", "width 64"]
    styles = [
        {name: (line.get_color(), line.get_marker()) for name, line in lines(axes).items()}
        for axes in figure.axes
    ]
    assert styles[0] == styles[1] == styles[2]
    assert len(set(styles[0].values())) == len(NAMES)
    assert len({colour for colour, _ in styles[0].values()}) == len(NAMES)


def test_it_can_be_drawn_and_belongs_to_no_window():
    figure = gap_figure({"width 3": results(3), "nothing yet": []}, title="A study")
    assert [axes.get_title() for axes in figure.axes] == ["width 3", ""]
    assert figure.get_suptitle() == "A study"
    drawing = io.BytesIO()
    figure.savefig(drawing, format="svg")
    assert drawing.tell() > 10_000


@pytest.mark.parametrize(
    ("panels", "more", "message"),
    [
        ({}, {}, "panels must hold at least one result"),
        ({"width 3": []}, {}, "panels must hold at least one result"),
        ({"width 3": results(3)}, {"targets": (95,)}, r"targets must be fractions .* got 95"),
        ({"width 3": results(3)}, {"columns": 0}, "columns must be at least 1, got 0"),
        ({"width 3": results(3)}, {"references": {"a": [(3, 95)]}}, "accuracy must be a fraction"),
    ],
)
def test_bad_input(panels, more, message):
    with pytest.raises(ValueError, match=message):
        gap_figure(panels, **more)
