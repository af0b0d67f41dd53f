"""Warnings are of the user's line, however deep in the library they are told."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

from prunelimits.elimination import Elimination, eliminate
from prunelimits.limits import pruning_limit
from prunelimits.pruners import GMP
from prunelimits.sessions import attach
from prunelimits.training import Recipe

X, Y = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 2


def limit_on_a_slope() -> None:
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[5.0, 0.0], [0.0, 5.0]]))
    pruning_limit(
        model, nn.functional.cross_entropy, [(X[:10], Y[:10]), (X[10:], Y[10:])], epsilon=1e-6
    )


def a_class_without_a_row() -> None:
    recipe = Recipe(epochs=1, batch_size=10)
    method = Elimination(networks=1, evolved=0, dense=recipe, recovery=recipe)
    eliminate(X, torch.zeros(20).long(), method, nonzeros=16, start=(2, 3, 2))


def a_session_that_ends_early() -> None:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters())
    with attach(GMP(rounds=2), model, optimizer, keep=2, steps=4):
        optimizer.step()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (limit_on_a_slope, "the gradient's norm is"),
        (a_class_without_a_row, "y has no row of class 1"),
        (a_session_that_ends_early, "the training ended after 1 step and"),
    ],
)
def test_a_warning_is_of_the_callers_line(call: Callable[[], None], said: str):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        call()
    files = {warning.filename for warning in told if str(warning.message).startswith(said)}
    assert files == {__file__}
