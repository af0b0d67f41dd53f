"""The laws of effective masks on random models.

PRUNELIMITS_RANDOM_MODELS says how many, or from which seed to which: `make random-models` tries
10,000, and `PRUNELIMITS_RANDOM_MODELS=4000:5000` goes on in the middle.
"""

from __future__ import annotations

import os

import pytest
from torch import nn

from .laws import nothing_kept_is_idle, nothing_left_out_matters, the_core_computes_the_same
from .random_models import random_model, randomise

SEEDS = range(*map(int, os.environ.get("PRUNELIMITS_RANDOM_MODELS", "200").split(":")))


def cancels(model: nn.Module) -> bool:
    """Whether something that is on a path may cancel exactly, whatever the numbers.

    A softmax is blind to what is added to all of its scores, such as a product of the queries with
    a constant key; the mean over positions of what an instance normalisation gives is nothing; and
    a normalisation over positions makes nothing of what is the same at all of them.
    """
    return any(
        hasattr(module, "k")
        or getattr(module, "over_positions", False)
        or isinstance(module, nn.MultiheadAttention | nn.InstanceNorm2d)
        for module in model.modules()
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_left_out_matters_and_nothing_kept_is_idle(seed: int):
    model, x = random_model(seed)
    traced, carrying = nothing_left_out_matters(model, x, seed)
    assert traced.network.unknown == ()
    if seed % 5 == 0:
        the_core_computes_the_same(model, x)
    if not cancels(model):
        nothing_kept_is_idle(model, x, carrying, seed, randomise)
