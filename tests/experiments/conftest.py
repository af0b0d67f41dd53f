"""A study so small that it ends in a second."""

from __future__ import annotations

import pytest
from torch import Tensor

from prunelimits import pruners
from prunelimits.datasets import cubist_spiral
from prunelimits.experiments import Study
from prunelimits.training import Recipe


@pytest.fixture
def data() -> tuple[Tensor, Tensor]:
    return cubist_spiral(300)


@pytest.fixture
def study() -> Study:
    """84 runs in 20 parts: ProsPr's two learning rates are parts of their own."""
    return Study(
        methods=(pruners.LTH(rounds=2), pruners.SNIP(), pruners.Random(), pruners.ProsPr()),
        widths=(3, 5),
        budgets=(8, 12, 30),
        recipes=(
            Recipe(epochs=10, batch_size=20, lr=0.1, schedule="constant"),
            Recipe(epochs=10, batch_size=20, lr=0.05, schedule="constant"),
        ),
        repeats=2,
    )
