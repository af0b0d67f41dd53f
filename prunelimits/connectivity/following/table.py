"""The one table of rules: operation -> what it does to paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch._ops import OpOverload

from prunelimits.connectivity.following.call import Call
from prunelimits.connectivity.following.values import Argument

Rule: TypeAlias = Callable[[Call], Any]
"""A call -> what it gives, as the methods of `Call` return it."""

RULES: dict[Any, Rule] = {}
"""Operation, such as `torch.ops.aten.relu.default` -> its rule. Known by identity."""


def rule(*operations: Argument) -> Callable[[Rule], Rule]:
    """Registers a rule for operations, your own or torch's; an earlier one is replaced.

    Args:
        operations: Operations such as `torch.ops.aten.relu.default`, or what
            `torch.library.custom_op` gives.

    Returns:
        A decorator for a function that takes a `Call` and returns what one of its methods gives.

    Raises:
        TypeError: If something is no operation.

    Examples:
        >>> @torch.library.custom_op("examples::double", mutates_args=())
        ... def double(x: torch.Tensor) -> torch.Tensor:
        ...     return 2 * x
        >>> _ = double.register_fake(torch.empty_like)
        >>> @rule(double)
        ... def follow_double(call):
        ...     return call.elementwise()
    """
    known: list[Any] = []
    for operation in operations:
        # What custom_op gives holds the operation that a graph shows.
        found: Any = getattr(operation, "_opoverload", operation)
        if not isinstance(found, OpOverload):
            raise TypeError(
                "operations must be operations such as torch.ops.aten.relu.default, "
                f"got {operation!r}"
            )
        known.append(found)

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(known, function))
        return function

    return register


def aten(*names: str) -> list[Any]:
    """Operations of torch by name, such as "relu" for all its forms or "add.Tensor" for one."""
    found: list[Any] = []
    for name in names:
        packet, _, form = name.partition(".")
        every = getattr(torch.ops.aten, packet, None)
        if every is None:
            continue
        forms = [form] if form else [f for f in every.overloads() if "out" not in f.split("_")]
        found += [getattr(every, f) for f in forms if f in every.overloads()]
    return found
