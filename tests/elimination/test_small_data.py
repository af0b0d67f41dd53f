"""Tables of few rows: defaults that fit them, inputs that go unused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from prunelimits.datasets import cubist_spiral
from prunelimits.elimination import Elimination, eliminate
from prunelimits.elimination.recipes import LARGE, fitting_recipes
from prunelimits.search import make_task
from prunelimits.training import Recipe

from .small import content


@pytest.mark.parametrize("samples", [1, 2, 7, 8, 9, 105, 150, 569, 1797, 5000, 9999, 10_240, 10**6])
def test_recipes_take_enough_steps_and_never_less_than_on_large_data(samples: int):
    for recipe, large, least in zip(fitting_recipes(samples), LARGE, (800, 160), strict=True):
        steps = recipe.epochs * (samples // recipe.batch_size)
        assert steps >= least
        assert recipe.epochs >= large.epochs
        assert recipe.batch_size <= large.batch_size
        assert recipe.batch_size == 1 or samples // recipe.batch_size >= 8
        assert dataclasses.replace(recipe, epochs=1, batch_size=1) == dataclasses.replace(
            large, epochs=1, batch_size=1
        )
    if samples >= 10_240:
        assert fitting_recipes(samples) == LARGE


def test_on_the_spiral_the_defaults_are_what_they_always_were():
    x, y = cubist_spiral()
    small = Elimination(networks=2, beam=2, tries=1, evolved=0)
    said = dataclasses.replace(
        small,
        dense=Recipe(epochs=10, batch_size=128),
        recovery=Recipe(epochs=5, batch_size=32, lr=0.01),
    )
    one, other = (eliminate(x, y, method, start=(2, 3, 1), nonzeros=8) for method in (small, said))
    assert content(one) == content(other)
    assert one.method == other.method == said


@pytest.mark.slow
def test_iris_is_separated_by_seven_parameters_without_an_option():
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = (torch.from_numpy(array) for array in datasets.load_iris(return_X_y=True))
    task = make_task(x.float(), y, held_out=0.3, seed=1)
    assert len(task.x) == 105
    measure = (task.measure_x, task.measure_y)
    result = eliminate(task.x, task.y, target=0.977, measure=measure, seed=1)
    assert result.sparsest is not None
    assert result.sparsest.nonzeros <= 7
    # 44 of the 45 that are held out.
    assert result.sparsest.score >= 44 / 45


@pytest.mark.parametrize("biases", ["free", "outgoing"])
def test_inputs_that_tell_nothing_go_unused(biases):
    """Labels that depend on two of four columns: by the paper's rule 5 nonzeros, not 7."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 4, generator=generator)
    margin = x[:, 0] + x[:, 1] - 0.5
    x, y = x[margin.abs() > 0.1], (margin[margin.abs() > 0.1] > 0).float()
    method = Elimination(networks=16, beam=8, biases=biases, evolved=0)
    result = eliminate(x, y, method, start=(4, 4, 1), target=1.0)
    best = result.sparsest
    assert best is not None
    assert best.score == 1.0
    assert best.with_biases == 5
    assert best.nonzeros <= 5
    used = best.masks["layers.0.weight"].any(0)
    assert used.tolist() == [True, True, False, False]


def test_one_sample_below_the_target_is_near_enough_to_lead_on():
    """Of 20 samples each is 5 %: a slack of 2 % alone would end it at the first that is lost."""
    from prunelimits.elimination.data import EliminationData
    from prunelimits.elimination.goal import Goal
    from prunelimits.elimination.rounds import Rounds
    from prunelimits.elimination.trainer import Trainer
    from prunelimits.training import MLPEnsemble

    x = torch.linspace(-1, 1, 20)[:, None]
    for y, loss, least in (((x > 0).float()[:, 0], None, 0.05), (x, "mse", 0.02)):
        data = EliminationData.of(x, y, None, (1, 2, 1), loss)
        start = MLPEnsemble((1, 2, 1), 1)
        rounds = Rounds(
            Elimination(), Trainer(data, 0, None), Goal(1.0, None), 0, start, trained=True
        )
        assert rounds._slack == pytest.approx(least, rel=1e-5)
        assert np.isfinite(rounds._slack)
