"""Regrowth: its budget, its choice, its cost, and that it is a function of its arguments."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from prunelimits.elimination import (
    Elimination,
    MissingClassWarning,
    NothingFoundWarning,
    Regrowth,
    eliminate,
    regrow,
)
from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.regrowing_mlps import MLPRegrowing, kept_weights
from prunelimits.masks import count, with_biases
from prunelimits.pruners import GMP
from prunelimits.training import MLPEnsemble, Recipe, evaluate, fit

from .circle import X, Y

QUICK = Regrowth(
    starts=6,
    beam=4,
    cycles=2,
    finalists=8,
    first=Recipe(epochs=12, batch_size=20, lr=0.1),
    recovery=Recipe(epochs=4, batch_size=20, lr=0.05),
    last=Recipe(epochs=20, batch_size=20, lr=0.1),
)
WIDTHS = (2, 6, 5, 1)
OTHERS = (X[::3], Y[::3])


def accuracy(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    return float(((model(x)[:, 0] > 0) == (y > 0)).double().mean())


@pytest.mark.slow
@pytest.mark.parametrize("keep", [4, 5, 12, 40])
def test_at_most_the_goal_is_kept_and_biases_follow_the_weights(keep: int):
    result = regrow(X, Y, QUICK, keep=keep, start=WIDTHS, measure=OTHERS)
    masks = result.network.masks
    weights = {name: mask for name, mask in masks.items() if name.endswith("weight")}
    assert result.weights == count(weights) <= keep
    assert result.network.nonzeros == count(with_biases(weights, "outgoing"))
    for name, parameter in result.network.model.named_parameters():
        assert bool((parameter[~masks[name]] == 0).all())
    assert result.network.score == pytest.approx(accuracy(result.network.model, *OTHERS))


@pytest.mark.slow
def test_growing_back_never_makes_the_choice_worse():
    """By the rows to choose by, since what was found before stays in the choice."""
    found = [
        regrow(X, Y, dataclasses.replace(QUICK, cycles=cycles), keep=8, start=WIDTHS, seed=4)
        for cycles in (0, 1, 3)
    ]
    scores = [result.network.score for result in found]
    assert scores == sorted(scores)
    works = [result.work for result in found]
    assert works == sorted(set(works))


@pytest.mark.slow
def test_a_seed_decides_everything_and_the_callers_random_state_stays():
    state = torch.random.get_rng_state()
    first, again, other = (
        regrow(X, Y, QUICK, keep=9, start=WIDTHS, seed=seed).network for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first.model.widths == again.model.widths
    values = [
        [v.tolist() for v in net.model.state_dict().values()] for net in (first, again, other)
    ]
    assert values[0] == values[1] != values[2]


def test_the_starts_are_those_of_gmp_at_the_multiple_of_the_goal():
    data = EliminationData.of(X, Y, None, WIDTHS, None)
    run = MLPRegrowing(dataclasses.replace(QUICK, head=2.5), data, 9, 0, None)
    starts = run.starts(WIDTHS)
    seeds = [run.word(1, n) for n in range(6)]
    result = fit(
        MLPEnsemble(WIDTHS, seeds=seeds), X, Y, QUICK.first, seed=run.word(2),
        pruner=GMP(until=0.15), keep=23, pruner_seeds=seeds,
    )  # fmt: skip
    assert torch.allclose(starts.loss, result.loss, rtol=1e-4)
    assert run.work == round(float(result.parameter_samples.sum()))
    assert bool((kept_weights(starts) <= 23).all())


def test_starts_stay_dense_where_the_multiple_is_all_there_is():
    data = EliminationData.of(X, Y, None, WIDTHS, None)
    starts = MLPRegrowing(QUICK, data, 30, 0, None).starts(WIDTHS)
    assert kept_weights(starts).tolist() == [47] * 6


def test_scores_are_the_loss_of_a_row_whether_trained_on_or_chosen_by():
    data = EliminationData.of(X, Y, OTHERS, WIDTHS, None)
    starts = MLPRegrowing(QUICK, data, 9, 0, None).starts(WIDTHS)
    together = evaluate(
        starts.ensemble(), torch.cat([X, OTHERS[0]]), torch.cat([Y, OTHERS[1]])
    ).loss
    assert torch.allclose(starts.score, -together)


def test_squared_error_and_classes():
    plane = X.sum(1)
    result = regrow(X, plane, QUICK, keep=8, start=WIDTHS, loss="mse")
    predicted = result.network.model(X)[:, 0].detach()
    r2 = 1 - float((predicted - plane).square().mean() / plane.var(correction=0))
    assert result.network.score == pytest.approx(r2, abs=1e-4)
    assert r2 > 0.9
    quadrant = (X[:, 0] > 0).long() + 2 * (X[:, 1] > 0).long()
    classes = regrow(X, quadrant, QUICK, keep=14, start=(2, 6, 5, 4))
    assert classes.network.score > 0.6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 47}, "keep must be below the 47 weights of widths"),
        ({"keep": 0}, "keep"),
        (
            {"keep": 2},
            r"keep must be at least 3, a weight in every layer of widths \(2, 6, 5, 1\), got 2",
        ),
        ({"start": (2, 1)}, "start must have a hidden layer"),
        ({"start": (3, 4, 1)}, "x must have shape"),
        ({"measure": (X,)}, "measure must be two tensors"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_trains(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        regrow(X, Y, QUICK, **{"keep": 9, "start": WIDTHS, **options})


def test_a_choice_without_weights_is_told():
    """A label that the inputs do not tell: a constant is best."""
    idle = dataclasses.replace(
        QUICK, starts=2, cycles=0, first=Recipe(epochs=1, batch_size=20, lr=1e-9),
        recovery=Recipe(epochs=1, batch_size=20, lr=1e-9), last=Recipe(epochs=1, batch_size=20),
    )  # fmt: skip
    noise = torch.randint(2, (len(X),), generator=torch.Generator().manual_seed(3))
    with pytest.warns(NothingFoundWarning, match="keeps no weight at all: train longer"):
        result = regrow(X * 0, noise, idle, keep=3, start=WIDTHS)
    assert result.weights == 0


def test_a_training_that_diverges_everywhere_says_so():
    wild = dataclasses.replace(QUICK, first=Recipe(epochs=3, batch_size=20, lr=1e30))
    with pytest.raises(ValueError, match="lower its learning rate"):
        regrow(X, Y, wild, keep=9, start=WIDTHS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("starts", 0),
        ("head", 0.5),
        ("until", 1.0),
        ("step", 0.0),
        ("cycles", -1),
        ("growth", 0),
        ("finalists", 0),
    ],
)
def test_numbers_out_of_range_name_themselves(name: str, value: float):
    with pytest.raises(ValueError, match=name):
        Regrowth(**{name: value})


def test_a_class_without_a_row_is_named():
    quadrant = (X[:, 0] > 0).long() + 2 * (X[:, 1] > 0).long()
    low = quadrant < 3
    some = X[low], quadrant[low]
    with pytest.warns(MissingClassWarning, match="measure has no row of class 3: the score tells"):
        regrow(X, quadrant, QUICK, keep=14, start=(2, 6, 5, 4), measure=some)
    few = Elimination(networks=2, beam=2, tries=1, step=0.5, evolved=0, recovery=QUICK.recovery,
                      dense=QUICK.first)  # fmt: skip
    with pytest.warns(MissingClassWarning, match="y has no row of class 3, 4: no network can"):
        eliminate(*some, few, nonzeros=14, start=(2, 6, 5, 5))
    with pytest.warns(MissingClassWarning, match="y has no row of class 1"):
        eliminate(X[:9], torch.zeros(9), few, nonzeros=14, start=(2, 6, 5, 1))
