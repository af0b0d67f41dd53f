"""The laws of effective masks on random models: nothing left out matters, nothing kept is idle."""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from prunelimits import masks as pm
from prunelimits.connectivity import compact
from prunelimits.connectivity.flow import find_flow, flow_masks
from prunelimits.connectivity.folding import fold_model
from prunelimits.connectivity.trace import trace
from prunelimits.types import Masks

from .random_models import random_model, randomise

SEEDS = range(int(os.environ.get("PRUNELIMITS_RANDOM_MODELS", "200")))

# How often other weights and inputs are drawn before an entry is called idle.
_DRAWS = 12


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


def with_gradient(model: nn.Module, x: Tensor, wanted: Masks, seed: int) -> Masks:
    """The entries that have a gradient for some weights and inputs."""
    generator = torch.Generator().manual_seed(seed)
    found = {name: torch.zeros_like(mask) for name, mask in wanted.items()}
    for _ in range(_DRAWS):
        randomise(model, generator)
        drawn = torch.randn(x.shape, generator=generator, dtype=x.dtype) * 1.5
        result = model(drawn)
        weighting = torch.randn(result.shape, generator=generator, dtype=result.dtype)
        named = dict(model.named_parameters())
        gradients = torch.autograd.grad(
            (result * weighting).sum(), list(named.values()), allow_unused=True
        )
        for name, gradient in zip(named, gradients, strict=True):
            if gradient is not None:
                found[name] |= gradient.abs() > 1e-14
        if all(bool((found[name] | ~wanted[name]).all()) for name in wanted):
            break
    return found


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
    before = model(x)
    traced = trace(model, None, x)
    assert traced.network.unknown == ()
    kept = traced.parameters.masks
    flow = find_flow(traced.network, kept)
    effective = flow_masks(traced.network, flow, keep_constants=False)
    carrying = flow_masks(traced.network, flow, keep_constants=True)
    assert all(not (effective[name] & ~carrying[name]).any() for name in kept)

    params = {name: p.detach() for name, p in model.named_parameters()}
    close(functional_call(model, pm.apply(params, carrying), (x,)), before)
    generator = torch.Generator().manual_seed(seed)
    others = {
        name: torch.where(
            kept[name] & ~carrying[name],
            torch.randn(p.shape, generator=generator, dtype=p.dtype),
            p,
        )
        for name, p in params.items()
    }
    close(functional_call(model, others, (x,)), before)

    folded, _ = fold_model(traced)
    close(functional_call(model, folded, (x,)), before)
    if seed % 5 == 0:
        close(compact(model, inputs=x)(x), before)

    if cancels(model):
        return
    busy = with_gradient(model, x, carrying, seed)
    for name, mask in carrying.items():
        assert not (mask & ~busy[name]).any(), name
