"""Calls that the tracer meets: their arguments, with tensors that it follows among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

Argument: TypeAlias = Any
"""Whatever a model passes to a function."""


@dataclass(frozen=True)
class FollowedTensor:
    """A tensor during tracing: the number of its step, and its shape as a tensor of zeros."""

    step: int
    zeros: Tensor


@dataclass(frozen=True)
class FollowedParameter:
    """A parameter that the forward pass reads itself."""

    name: str


def leaves(value: Argument) -> list[Any]:
    """Everything in nested dicts, lists and tuples."""
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in leaves(part)]
    if isinstance(value, tuple | list):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def followed_tensors(value: Argument) -> list[FollowedTensor]:
    """The tensors that are followed, in order."""
    return [leaf for leaf in leaves(value) if isinstance(leaf, FollowedTensor)]


def _filled(value: Argument, tensors: Iterator[Tensor]) -> Argument:
    """The same arguments with the followed tensors replaced by those given."""
    if isinstance(value, dict):
        return {key: _filled(part, tensors) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_filled(part, tensors) for part in value)
    return next(tensors) if isinstance(value, FollowedTensor) else value


def called(
    function: Callable[..., Any], args: Argument, kwargs: Argument, *tensors: Tensor
) -> Argument:
    """The result of the call with the followed tensors replaced by those given."""
    given = iter(tensors)
    return function(*_filled(args, given), **_filled(kwargs, given))


def nth_result(call: Callable[..., Any], place: int, *tensors: Tensor) -> Tensor:
    """One of the tensors that a call gives."""
    return call(*tensors)[place]


def called_with_weight(
    function: Callable[..., Tensor], settings: dict[str, Any], x: Tensor, weight: Tensor
) -> Tensor:
    """A functional layer without bias."""
    return function(x, weight, None, **settings)


def argument(
    args: list[Any], kwargs: dict[str, Any], place: int, name: str, default: Argument
) -> Argument:
    """An argument given by place or by name."""
    return args[place] if len(args) > place else kwargs.get(name, default)


def pads_zeros(args: list[Any], kwargs: dict[str, Any]) -> bool:
    """Whether a call of `pad` adds nothing but zeros."""
    mode = argument(args, kwargs, 2, "mode", "constant")
    return mode != "constant" or not argument(args, kwargs, 3, "value", None)


def summed(x: Tensor, axes: Argument, keepdim: bool) -> Tensor:
    """The sum over some axes, or all."""
    return x.sum() if axes is None else x.sum(axes, keepdim=keepdim)


def mixed(x: Tensor, axis: int) -> Tensor:
    """Every output along the axis depends on every input there."""
    return x.sum(axis, keepdim=True).expand(x.shape)
