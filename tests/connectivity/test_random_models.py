"""The laws of effective masks on random models; how many is PRUNELIMITS_RANDOM_MODELS."""

from __future__ import annotations

import os

import pytest
from torch import nn

from .laws import nothing_kept_is_idle, nothing_left_out_matters, the_core_computes_the_same
from .random_models import random_model, randomise

SEEDS = range(int(os.environ.get("PRUNELIMITS_RANDOM_MODELS", "200")))


def cancels(model: nn.Module) -> bool:
    """Whether something that is on a path may cancel exactly, whatever the numbers.

    A softmax is blind to what is added to all of its scores, such as a product of the queries with
    a constant key; and the mean over positions of what an instance normalisation gives is nothing.
    """
    return any(
        hasattr(module, "k") or isinstance(module, nn.MultiheadAttention | nn.InstanceNorm2d)
        for module in model.modules()
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_left_out_matters_and_nothing_kept_is_idle(seed: int):
    model, x = random_model(seed)
    traced, carrying = nothing_left_out_matters(model, x, seed)
    assert traced.network.unknown == ()
    if seed % 5 == 0:
        the_core_computes_the_same(model, x)
    if not cancels(model):
        nothing_kept_is_idle(model, x, carrying, seed, randomise)
