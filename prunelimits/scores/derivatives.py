"""First derivatives by ordinary autograd for one model, by `torch.func` for many at once.

Ordinary autograd takes whatever a training takes: custom functions, activation checkpointing, hooks
on saved tensors. `torch.func` refuses these, but its results can be mapped over many models.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from prunelimits.modes import many_at_once
from prunelimits.types import Params


def gradient_of(
    function: Callable[[Params], Tensor], at: Params, *, differentiable: bool = False
) -> Params:
    """The gradient of a scalar function; zero by what it does not depend on.

    Args:
        function: Of tensors by name.
        at: Where.
        differentiable: Whether the gradient itself is to be differentiated, by `at` or by what `at`
            was computed from.

    Examples:
        >>> gradient_of(lambda p: (p["w"] ** 2).sum(), {"w": torch.tensor([1.0, 3.0])})
        {'w': tensor([2., 6.])}
    """
    if many_at_once():
        return torch.func.grad(function)(at)
    with torch.enable_grad():
        points = leaves(at)
        if differentiable:  # what was computed stays connected to what it was computed from
            points |= {name: value for name, value in at.items() if value.requires_grad}
        value = function(points)
        return derivative(value, points, differentiable=differentiable, again=differentiable)


def gradient_times_point(function: Callable[[Params], Tensor], at: Params) -> Params:
    """`w df/dw` by every tensor; zero where the function does not depend on one.

    Args:
        function: Of tensors by name.
        at: Where: emptied, so that the memory of each tensor is free as soon as its product is
            there, on the way of the backward pass, if nobody else holds it.

    Examples:
        >>> gradient_times_point(lambda p: (p["w"] ** 2).sum(), {"w": torch.tensor([1.0, 3.0])})
        {'w': tensor([ 2., 18.])}
    """
    if many_at_once():
        gradient = torch.func.grad(function)(at)
        return {name: at.pop(name) * gradient.pop(name) for name in list(at)}
    with torch.enable_grad():
        points = {name: at.pop(name).detach().requires_grad_() for name in list(at)}
        value = function(points)
        for point in points.values():
            point.register_hook(partial(_multiply_and_free, weakref.ref(point)))
        return derivative(value, points, again=False)


def _multiply_and_free(point: weakref.ref[Tensor], gradient: Tensor | None) -> Tensor | None:
    leaf = point()
    if gradient is None or leaf is None:
        return None
    product = leaf * gradient
    # Everything that leads to this gradient has run. Whoever reads the point nevertheless, as no
    # function that torch follows does, gets no number rather than a wrong one.
    leaf.data = torch.full((), torch.nan, dtype=leaf.dtype, device=leaf.device).expand_as(leaf)
    return product


def leaves(values: Params) -> Params:
    """The same values, to be differentiated by, cut off from what they were computed from."""
    return {name: value.detach().requires_grad_() for name, value in values.items()}


def derivative(
    value: Tensor | list[Tensor],
    by: Params,
    weighted_by: list[Tensor] | None = None,
    *,
    differentiable: bool = False,
    again: bool = True,
) -> Params:
    """The derivative of tensors that are there already, summed with weights; zero where none is.

    Unless it may be taken `again`, the activations are given back on the way.
    """
    values = value if isinstance(value, list) else [value]
    live = [place for place, part in enumerate(values) if part.requires_grad]
    if not live:
        return {name: torch.zeros_like(point) for name, point in by.items()}
    try:
        found = torch.autograd.grad(
            [values[place] for place in live],
            list(by.values()),
            None if weighted_by is None else [weighted_by[place] for place in live],
            create_graph=differentiable,
            retain_graph=again,
            allow_unused=True,
            materialize_grads=True,
        )
    except NotImplementedError as error:
        raise NotImplementedError(
            "this method needs second derivatives, which torch does not have of a function that "
            f"the model calls: {error}"
        ) from error
    except RuntimeError as error:
        # Some losses (huber_loss) mix dtypes forward, and fail on the way back.
        if not str(error).startswith("Found dtype"):
            raise
        raise TypeError(
            "batches must hold targets of the dtype of the model's outputs, which the backward "
            f"pass of this loss does not convert: {error}"
        ) from error
    return dict(zip(by, found, strict=True))
