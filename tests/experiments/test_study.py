"""Which runs a study is made of."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelimits import pruners
from prunelimits.elimination import Elimination, Regrowth
from prunelimits.experiments import (
    PAPER_BUDGETS,
    PAPER_METHODS,
    PAPER_RECIPES,
    PAPER_WIDTHS,
    Run,
    Study,
)
from prunelimits.training import Recipe


def test_the_published_study_has_18954_runs():
    study = Study()
    assert len(study) == len(set(study.runs())) == 18_954
    sizes = (len(PAPER_METHODS), len(PAPER_WIDTHS), len(PAPER_BUDGETS), len(PAPER_RECIPES))
    assert sizes == (9, 11, 23, 9)


@pytest.mark.parametrize(
    ("widths", "budgets", "first_phase", "second_phase", "all_of_them"),
    [
        # BENCH-995: widths of fewer than 61 nonzeros by six recipes, the subset of (6, 3, 2) by 3.
        ((6, 16), (16, 18, 20, 22, *range(24, 31), 32, 34, 36), 339 * 6, 23_528 * 3, 83_958),
        # BENCH-95: widths of fewer than 37 nonzeros, and all masks of (3, 2, 2), by six.
        ((3, 16), tuple(range(15, 27)), 93 * 6, 416 * 6, 12_774),
    ],
)
def test_the_studies_of_fixed_initialisations(
    widths: tuple[int, ...],
    budgets: tuple[int, ...],
    first_phase: int,
    second_phase: int,
    all_of_them: int,
):
    """With the searches' trainings they are as many as the paper says."""
    study = Study(widths=widths, budgets=budgets, repeats=5)
    assert len(study) + first_phase + second_phase == all_of_them


@given(
    widths=st.sets(st.integers(1, 6), min_size=1),
    budgets=st.sets(st.integers(1, 40), min_size=1),
    recipes=st.integers(1, 3),
    repeats=st.integers(1, 3),
    hidden_layers=st.integers(1, 4),
    inputs=st.integers(1, 3),
    outputs=st.integers(1, 3),
)
def test_runs_are_all_combinations_that_prune_something(
    widths: set[int],
    budgets: set[int],
    recipes: int,
    repeats: int,
    hidden_layers: int,
    inputs: int,
    outputs: int,
):
    study = Study(
        methods=(pruners.SNIP(), pruners.GMP()),
        widths=tuple(widths),
        budgets=tuple(budgets),
        recipes=tuple(Recipe(lr=0.1 * (1 + r)) for r in range(recipes)),
        repeats=repeats,
        hidden_layers=hidden_layers,
    )
    expected = {
        Run(name, width, keep, recipe, repeat)
        for name, width, keep, recipe, repeat in product(
            ("SNIP", "GMP"), widths, budgets, range(recipes), range(repeats)
        )
        if keep < inputs * width + (hidden_layers - 1) * width * width + width * outputs
    }
    runs = list(study.runs(inputs, outputs))
    assert len(runs) == len(expected)
    assert set(runs) == expected


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"methods": ()}, "methods must hold at least one, got none"),
        ({"widths": ()}, "widths must hold at least one"),
        ({"widths": (0,)}, "widths\\[0\\] must be at least 1, got 0"),
        ({"budgets": (3, -1)}, "budgets\\[1\\] must be at least 1, got -1"),
        (
            {"methods": (pruners.SNIP(), Regrowth()), "budgets": (8, 3)},
            "budgets must be at least 4 for Regrowth, a weight in every layer of the networks, "
            "got 3",
        ),
        (
            {"methods": (Elimination(),), "budgets": (2,), "hidden_layers": 2},
            "budgets must be at least 3 for Elimination,",
        ),
        ({"repeats": 0}, "repeats must be at least 1, got 0"),
        ({"widths": (3, 3)}, "widths must be different, got 3, 3"),
        (
            {"methods": (pruners.SNIP(), pruners.SNIP())},
            "methods must be different",
        ),
        ({"recipes": (Recipe(epochs=1), Recipe(epochs=2))}, r"same epochs, got \[1, 2\]"),
    ],
)
def test_bad_numbers(changed: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Study(**changed)


def test_bad_types():
    with pytest.raises(TypeError, match="methods must be pruners, such as SNIP"):
        Study(methods=(pruners.SNIP,))  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"widths\[0\] must be an integer, got 3\.5"):
        Study(widths=(3.5,))  # pyright: ignore[reportArgumentType]


def test_methods_by_name():
    study = Study()
    assert study.method("GMP") == pruners.GMP()
    with pytest.raises(ValueError, match=r"name must be one of LTH, GMP, .*, got 'Snip'"):
        study.method("Snip")
