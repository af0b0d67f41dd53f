"""The laws of effective masks, for any model: nothing left out matters, nothing kept is idle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils import _pytree as pytree

from prunelimits import masks as pm
from prunelimits.connectivity import compact
from prunelimits.connectivity.flow import find_flow, flow_masks
from prunelimits.connectivity.folding import fold_model
from prunelimits.connectivity.following.exporting import flat_tensors, plain_copy
from prunelimits.connectivity.trace import Traced, trace
from prunelimits.types import Masks, Params

# How often other weights and inputs are drawn before an entry is called idle.
_DRAWS = 200

Inputs = Tensor | tuple[Any, ...] | dict[str, Any]


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10, equal_nan=True)


def outputs(model: nn.Module, params: Params, inputs: Inputs) -> list[Tensor]:
    """What a model gives with other parameters: its floating tensors. Chance is always the same."""
    args = inputs if isinstance(inputs, tuple) else () if isinstance(inputs, dict) else (inputs,)
    kwargs = inputs if isinstance(inputs, dict) else {}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        # On a copy: a module that has two names is not put together again as it was.
        found = functional_call(plain_copy(model), {**params, **buffers}, args, kwargs)
    real = [torch.view_as_real(x) if x.is_complex() else x for x in flat_tensors(found)]
    return [x for x in real if x.is_floating_point()]


def changes_nothing(model: nn.Module, params: Params, other: Params, inputs: Inputs) -> None:
    for a, b in zip(outputs(model, other, inputs), outputs(model, params, inputs), strict=True):
        close(a, b)


def nothing_left_out_matters(model: nn.Module, inputs: Inputs, seed: int) -> tuple[Traced, Masks]:
    """In float64, by zeros and by other numbers in what is left out, by folding, by the core."""
    traced = trace(model, None, inputs)
    kept = traced.parameters.masks
    flow = find_flow(traced.network, kept)
    effective = flow_masks(traced.network, flow, keep_constants=False)
    carrying = flow_masks(traced.network, flow, keep_constants=True)
    assert all(not (effective[name] & ~carrying[name]).any() for name in kept)
    params = {name: p.detach() for name, p in model.named_parameters()}
    changes_nothing(model, params, pm.apply(params, carrying), inputs)
    generator = torch.Generator().manual_seed(seed)
    others = {
        name: torch.where(
            kept[name] & ~carrying[name],
            torch.randn(p.shape, generator=generator, dtype=p.dtype),
            p,
        )
        for name, p in params.items()
    }
    changes_nothing(model, params, others, inputs)
    values, left = fold_model(traced, others=list)
    changes_nothing(model, params, pm.apply(values, left), inputs)
    return traced, carrying


def computes_the_same(model: nn.Module, other: nn.Module, inputs: Inputs) -> None:
    own = {name: p.detach() for name, p in other.named_parameters()}
    params = {name: p.detach() for name, p in model.named_parameters()}
    found, expected = outputs(other, own, inputs), outputs(model, params, inputs)
    for a, b in zip(found, expected, strict=True):
        close(a, b)


def the_core_computes_the_same(model: nn.Module, inputs: Inputs) -> None:
    computes_the_same(model, compact(model, inputs=inputs), inputs)


def nothing_kept_is_idle(
    model: nn.Module,
    inputs: Inputs,
    wanted: Masks,
    seed: int,
    randomise: Callable[[nn.Module, torch.Generator], None],
) -> None:
    """Each entry has a gradient for some weights and inputs; integers are drawn below the most."""
    generator = torch.Generator().manual_seed(seed)
    left = {name: mask.clone() for name, mask in wanted.items()}
    for _ in range(_DRAWS):
        randomise(model, generator)

        def drawn_like(x: object) -> object:
            return _drawn(x, generator)

        drawn = pytree.tree_map(drawn_like, inputs)
        named = {name: p.detach().requires_grad_() for name, p in model.named_parameters()}
        total = sum(
            (x * torch.randn(x.shape, generator=generator, dtype=x.dtype)).sum()
            for x in outputs(model, named, drawn)
        )
        assert isinstance(total, Tensor)
        gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True)
        for name, gradient in zip(named, gradients, strict=True):
            # None where torch is allowed to leave one out.
            if isinstance(gradient, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
                left[name] &= ~(gradient.abs() > 1e-14)
        if not any(bool(mask.any()) for mask in left.values()):
            return
    idle = {name: mask.nonzero().tolist() for name, mask in left.items() if mask.any()}
    raise AssertionError(f"no gradient reaches {idle}")


def _drawn(x: object, generator: torch.Generator) -> object:
    if not isinstance(x, Tensor) or x.dtype is torch.bool:
        return x
    if x.is_floating_point():
        return torch.randn(x.shape, generator=generator, dtype=x.dtype) * 1.5
    return torch.randint(int(x.max()) + 1, x.shape, generator=generator)
