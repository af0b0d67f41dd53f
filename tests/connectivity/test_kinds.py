"""The laws of effective masks on one model of each of many kinds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from .kinds import KINDS
from .laws import nothing_kept_is_idle, nothing_left_out_matters, the_core_computes_the_same


def randomise(model: nn.Module, generator: torch.Generator) -> None:
    """New numbers for every parameter that is not zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(torch.where(parameter != 0, drawn.sign() * 0.2 + drawn * 0.5, 0.0))


@pytest.mark.parametrize("density", [0.35, 0.7])
@pytest.mark.parametrize("name", KINDS)
def test_nothing_left_out_matters_and_nothing_kept_is_idle(name: str, density: float):
    found = KINDS[name]
    model, inputs = found.make()
    model = model.double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator) < density)
    randomise(model, generator)
    traced, carrying = nothing_left_out_matters(model, inputs, seed=0)
    assert (traced.network.unknown == ()) == found.exact, traced.network.unknown
    the_core_computes_the_same(model, inputs)
    if found.exact and not found.cancels:
        nothing_kept_is_idle(model, inputs, carrying, 0, randomise)
