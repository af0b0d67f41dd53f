"""A method has one colour everywhere, and all methods of a figure have different ones."""

from __future__ import annotations

import itertools
import random

import pytest

from prunelimits import pruners
from prunelimits.elimination import Elimination, Regrowth
from prunelimits.experiments import Run, RunResult
from prunelimits.viz.disconnected import disconnected_figure
from prunelimits.viz.gap import gap_figure
from prunelimits.viz.method_styles import method_styles

OTHERS = (Elimination.__name__, Regrowth.__name__)
CATALOGUE = [*(pruner.__name__ for pruner in pruners.all()), *OTHERS]


def test_a_method_of_the_catalogue_has_the_same_style_whatever_is_beside_it():
    alone = {name: method_styles([name])[name] for name in CATALOGUE}
    for seed in range(20):
        some = random.Random(seed).sample(CATALOGUE, 12)
        assert method_styles(["Mine", *some]).items() >= {n: alone[n] for n in some}.items()
    assert len({style.colour for style in alone.values()}) == len(CATALOGUE)
    assert not any(style.own for style in alone.values())


def test_ten_of_one_s_own_and_all_settings_have_colours_of_their_own():
    settings = [f"LTH(rounds={n})" for n in range(12)]
    own = [f"Mine{n}" for n in range(15)] + ["Mine(power=1)", "Mine(power=2)"]
    styles = method_styles([*CATALOGUE, *settings, *own])
    assert list(styles) == [*CATALOGUE, *settings, *own]
    assert len({style.colour for style in styles.values()}) == len(styles)
    assert [name for name, style in styles.items() if style.own] == own


@pytest.mark.parametrize("order", list(itertools.permutations(("Mine", "SNIP", "Yours"))))
def test_order_does_not_matter(order: tuple[str, ...]):
    assert method_styles(order) == method_styles(("SNIP", "Mine", "Yours"))


def test_both_figures_of_a_study_take_these_colours_and_make_one_s_own_bolder():
    def result(method: str) -> RunResult:
        return RunResult(Run(method, 8, 20, 0, 0), 30, 15, 12, 0.9, 7e7, 4e8)

    styles = method_styles(["SNIP", "Mine"])
    results = [result("Mine"), result("SNIP")]
    lines = {line.get_label(): line for line in gap_figure({"a": results}).axes[0].get_lines()}
    for method, style in styles.items():
        assert lines[method].get_color() == style.colour
    assert lines["Mine"].get_linewidth() > 1.5 * lines["SNIP"].get_linewidth()
    assert lines["Mine"].get_zorder() > lines["SNIP"].get_zorder()
    figure = disconnected_figure(results)
    drawn = {bars.get_label(): bars.lines[0] for bars in figure.axes[0].containers}
    assert {m: line.get_color() for m, line in drawn.items()} == {
        m: style.colour for m, style in styles.items()
    }
