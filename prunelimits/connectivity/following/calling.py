# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""Calling a model in evaluation mode without leaving a trace of it."""

from __future__ import annotations

import copy
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from prunelimits.connectivity.following.exporting import evaluation_copy, flat_tensors, unlogged
from prunelimits.connectivity.following.values import Argument


def called(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    double: bool = False,
    within: AbstractContextManager[object] | None = None,
) -> list[Tensor]:
    """The tensors that a model gives in evaluation mode, without gradients.

    It is called on a copy with tensors of its own, on the CPU if the arguments are there: buffers,
    what it is given and the state of random numbers stay as they are.

    Args:
        model: The model.
        args: What it is called with by position.
        kwargs: And by name.
        double: Whether in float64, if its parameters have one type.
        within: Where the call alone takes place.
    """
    twin = copy.deepcopy(evaluation_copy(model))
    if all(x.device.type == "cpu" for x in flat_tensors((args, kwargs))):
        twin = twin.cpu()
    if double and len({p.dtype for p in twin.parameters() if p.is_floating_point()}) == 1:
        twin, (args, kwargs) = twin.double(), _widened((args, kwargs))
    args, kwargs = pytree.tree_map(
        lambda x: x.clone() if isinstance(x, Tensor) else x, (args, kwargs)
    )
    state = torch.random.get_rng_state()
    try:
        with torch.no_grad(), unlogged(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A graph that is called as a module prints its code where it fails.
            call = twin.forward if isinstance(twin, fx.GraphModule) else twin
            with within or nullcontext():
                found = call(*args, **kwargs)
            return flat_tensors(found)
    finally:
        torch.random.set_rng_state(state)


def _widened(tree: Argument) -> Argument:
    """The same with float64 for every floating type."""
    return pytree.tree_map(
        lambda x: x.double() if isinstance(x, Tensor) and x.is_floating_point() else x, tree
    )


def drawn(tree: Argument, generator: torch.Generator) -> Argument:
    """The same with random numbers in place of every floating one."""

    def drawn_like(x: Argument) -> Argument:
        if not (isinstance(x, Tensor) and x.is_floating_point()):
            return x
        return torch.randn(x.shape, generator=generator, dtype=torch.float64, device="cpu").to(x)

    return pytree.tree_map(drawn_like, tree)
