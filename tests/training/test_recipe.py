from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.training import Recipe, search_recipes
from prunelimits.training.recipe import Schedule

SCHEDULES: list[Schedule] = ["constant", "cosine", "step"]


def test_the_defaults_are_the_papers() -> None:
    assert dataclasses.astuple(Recipe()) == (50, 128, 0.05, 0.9, 5e-4, "cosine")


def test_a_recipe_is_a_value() -> None:
    assert Recipe(lr=0.1) == Recipe(lr=0.1)
    assert hash(Recipe(lr=0.1)) == hash(Recipe(lr=0.1))
    assert Recipe(lr=0.1) != Recipe(lr=0.2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().lr = 0.1  # type: ignore[misc]


def test_learning_rates_by_hand() -> None:
    assert Recipe(epochs=3, lr=0.2, schedule="constant").learning_rates() == [0.2, 0.2, 0.2]
    # cos 0, pi/4, pi/2, 3 pi/4
    cosine = Recipe(epochs=4, lr=0.2, schedule="cosine").learning_rates()
    half = math.sqrt(0.5)
    assert cosine == pytest.approx([0.2, 0.1 * (1 + half), 0.1, 0.1 * (1 - half)], rel=1e-12)
    step = Recipe(epochs=10, lr=0.2, schedule="step").learning_rates()
    assert step == pytest.approx([0.2] * 3 + [0.02] * 3 + [0.002] * 4, rel=1e-12)


def test_the_papers_step_schedule_drops_at_epochs_15_and_30() -> None:
    rates = Recipe(epochs=50, lr=1.0, schedule="step").learning_rates()
    assert [e for e in range(1, 50) if rates[e] != rates[e - 1]] == [15, 30]
    assert rates[-1] == pytest.approx(0.01)


@given(st.integers(1, 200), st.floats(1e-6, 10), st.sampled_from(SCHEDULES))
def test_every_schedule_starts_at_lr_and_never_rises(
    epochs: int, lr: float, schedule: Schedule
) -> None:
    rates = Recipe(epochs=epochs, lr=lr, schedule=schedule).learning_rates()
    assert len(rates) == epochs
    assert rates[0] == lr
    assert all(0 < later <= earlier for earlier, later in pairwise(rates))


@given(st.integers(1, 200))
def test_the_step_schedule_divides_by_ten_at_exact_shares(epochs: int) -> None:
    rates = Recipe(epochs=epochs, lr=1.0, schedule="step").learning_rates()
    for epoch, rate in enumerate(rates):
        share = Fraction(epoch, epochs)
        expected = 1.0 if share < Fraction(3, 10) else 0.1 if share < Fraction(6, 10) else 0.01
        assert rate == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("epochs", [1, 7, 10, 50])
def test_schedules_agree_with_torchs(epochs: int) -> None:
    milestones = [math.ceil(0.3 * epochs), math.ceil(0.6 * epochs)]
    for schedule in SCHEDULES:
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.3)
        scheduler = {
            "constant": torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0),
            "cosine": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs),
            "step": torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones),
        }[schedule]
        theirs: list[float] = []
        for _ in range(epochs):
            theirs.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        ours = Recipe(epochs=epochs, lr=0.3, schedule=schedule).learning_rates()
        assert ours == pytest.approx(theirs, rel=1e-9)


def test_the_six_recipes_of_the_search() -> None:
    recipes = search_recipes()
    assert [(r.lr, r.schedule) for r in recipes] == list(product([0.05, 0.1], SCHEDULES))
    assert {dataclasses.replace(r, lr=1.0, schedule="step") for r in recipes} == {
        Recipe(lr=1.0, schedule="step")
    }


@pytest.mark.parametrize("number", [np.float32(0.25), np.float64(0.25), 1])
def test_any_real_number_is_a_learning_rate(number: float) -> None:
    assert Recipe(epochs=1, lr=number).learning_rates() == [float(number)]


@pytest.mark.parametrize(
    ("name", "value", "error", "allowed"),
    [
        ("epochs", 0, ValueError, "at least 1"),
        ("epochs", -3, ValueError, "at least 1"),
        ("epochs", 2.5, TypeError, "an integer"),
        ("epochs", True, TypeError, "an integer"),
        ("batch_size", 0, ValueError, "at least 1"),
        ("batch_size", "128", TypeError, "an integer"),
        ("lr", 0.0, ValueError, "above 0"),
        ("lr", -0.1, ValueError, "above 0"),
        ("lr", math.nan, ValueError, "above 0"),
        ("lr", math.inf, ValueError, "finite and above 0"),
        ("lr", "0.1", TypeError, "a number"),
        ("lr", None, TypeError, "a number"),
        ("momentum", -0.1, ValueError, "at least 0 and below 1"),
        ("momentum", 1.0, ValueError, "at least 0 and below 1"),
        ("momentum", math.nan, ValueError, "at least 0 and below 1"),
        ("momentum", True, TypeError, "a number"),
        ("weight_decay", -1e-4, ValueError, "at least 0"),
        ("weight_decay", math.nan, ValueError, "at least 0"),
        ("weight_decay", math.inf, ValueError, "finite and at least 0"),
        ("weight_decay", "x", TypeError, "a number"),
        ("schedule", "linear", ValueError, "one of 'constant', 'cosine', 'step'"),
        ("schedule", None, ValueError, "one of 'constant', 'cosine', 'step'"),
    ],
)
def test_bad_numbers(name: str, value: object, error: type[Exception], allowed: str) -> None:
    with pytest.raises(error, match=f"^{name} must be {allowed}, got .*") as caught:
        Recipe(**{name: value})  # type: ignore[arg-type]
    assert str(caught.value).endswith(f"got {value!r}")
