"""The laws of effective masks on one model of each of many kinds."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

from prunelimits.connectivity import compact
from prunelimits.connectivity.following.model import example_of
from prunelimits.connectivity.following.other_sizes import at_other_sizes
from prunelimits.connectivity.following.steps import Parameter, Source
from prunelimits.connectivity.trace import trace

from . import layer_kinds as layer_kinds
from . import sequence_kinds as sequence_kinds
from .kinds import KINDS
from .laws import (
    Inputs,
    computes_the_same,
    nothing_kept_is_idle,
    nothing_left_out_matters,
    outputs,
    the_core_computes_the_same,
)


def randomise(model: nn.Module, generator: torch.Generator) -> None:
    """New numbers for every parameter that is not zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(torch.where(parameter != 0, drawn.sign() * 0.2 + drawn * 0.5, 0.0))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in KINDS if "complex" in name or "fourier" in name])
def test_complex_numbers_are_computed_part_by_part(name: str):
    model, inputs = KINDS[name].make()
    model = model.double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    network = trace(model, None, inputs).network
    params = {use: p.detach() for use, p in model.named_parameters()}
    given = iter([inputs])
    values: list[Tensor] = []
    for step in network.steps:
        if isinstance(step, Source):
            values.append(next(given))
        elif isinstance(step, Parameter):
            values.append(params[step.name])
        else:
            values.append(step.compute(*(values[i] for i in step.inputs)))
    found = [values[number] for number in network.outputs]
    torch.testing.assert_close(found, outputs(model, params, inputs))


@cache
def made(name: str) -> tuple[nn.Module, Inputs]:
    """The model of a kind, the same for all densities, with what it is called with."""
    model, inputs = KINDS[name].make()
    return model.double().eval(), inputs


def sparse(name: str, density: float) -> tuple[nn.Module, Inputs]:
    """That model with other numbers, zero at random."""
    model, inputs = made(name)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator) < density)
    randomise(model, generator)
    return model, inputs


@pytest.mark.slow
@pytest.mark.usefixtures("followed_once")
@pytest.mark.parametrize("density", [0.35, 0.7])
@pytest.mark.parametrize("name", KINDS)
def test_nothing_left_out_matters_and_nothing_kept_is_idle(name: str, density: float):
    found = KINDS[name]
    model, inputs = sparse(name, density)
    traced, carrying = nothing_left_out_matters(model, inputs, seed=0)
    assert (traced.network.unknown == ()) == found.exact, traced.network.unknown
    the_core_computes_the_same(model, inputs)
    if found.exact and not found.cancels:
        nothing_kept_is_idle(model, inputs, carrying, 0, randomise)


@pytest.mark.slow
@pytest.mark.usefixtures("followed_once")
@pytest.mark.parametrize("name", KINDS)
def test_the_core_computes_the_same_at_other_sizes(name: str):
    model, inputs = sparse(name, 0.5)
    core = compact(model, inputs=inputs)
    for args, kwargs in at_other_sizes(model, *example_of(model, inputs)):
        computes_the_same(model, core, kwargs or args)
