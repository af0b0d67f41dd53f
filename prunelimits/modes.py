"""Computing alike whatever mode torch is in.

A caller may be inside `torch.inference_mode`, `torch.no_grad` or `torch.autocast`. Results must not
depend on it, so public functions that compute leave these modes for as long as they run. Defaults
for the device and the dtype of new tensors are never changed, since the caller's model and loss
may count on them (and a default dtype is common to all threads): the library names both wherever
it makes a tensor.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from prunelimits.versions import autocast_devices

P = ParamSpec("P")
R = TypeVar("R")

_DEVICES = autocast_devices()


@contextmanager
def plain_modes() -> Generator[None]:
    """Outside inference mode, with gradients, without autocast, until the end of the block.

    Examples:
        >>> with torch.inference_mode(), plain_modes():
        ...     torch.ones(1).is_inference()
        False
    """
    with ExitStack() as stack:
        # Entered only where they change something, so that a call costs about a microsecond.
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        for device in _DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


def in_plain_modes(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, which runs in `plain_modes` whatever mode its caller is in."""

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with plain_modes():
            return function(*args, **kwargs)

    return inside


def differentiable(value: Tensor) -> Tensor:
    """`value` itself, or a copy where it was made in inference mode, which no gradient can pass."""
    return value.clone() if value.is_inference() else value


def is_of_many(value: Tensor) -> bool:
    """Whether a tensor stands for one of each model, as `torch.vmap` maps it, and has no one value.

    Examples:
        >>> is_of_many(torch.ones(2))
        False
    """
    return torch._C._functorch.is_batchedtensor(value)  # pyright: ignore


def many_at_once() -> bool:
    """Whether the caller maps or differentiates with `torch.func`, such as `torch.vmap`.

    Examples:
        >>> many_at_once()
        False
    """
    return torch._C._functorch.peek_interpreter_stack() is not None  # pyright: ignore
