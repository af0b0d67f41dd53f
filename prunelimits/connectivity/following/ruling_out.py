"""Scores that are minus infinity whatever the weights: a softmax makes nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from prunelimits.connectivity.following.recording import Followed

# What is added to a score to rule it out: minus infinity, or the least number of a type.
_RULED_OUT = -1e30


def ruled_out(value: object) -> Tensor | None:
    """Where a value is as good as minus infinity. None: nowhere."""
    if isinstance(value, Followed):
        return value.blocked
    if isinstance(value, Tensor) and value.is_floating_point():
        below = value <= _RULED_OUT
        return below if below.any() else None
    return None


def blocked_by(
    operation: Callable[..., Any],
    args: Sequence[Any],
    followed: Sequence[Followed],
    shape: torch.Size,
) -> Tensor | None:
    """Where a sum or a choice is minus infinity whatever comes in. None: nowhere."""
    packet = getattr(operation, "overloadpacket", None)
    aten = torch.ops.aten
    tensors = [x for x in args if isinstance(x, Tensor | Followed)]
    if packet not in (aten.add, aten.sub, aten.maximum, aten._to_copy, aten.clone, aten.mul):
        return None
    if len(followed) != 1 and packet is not aten.add:
        return None
    parts = [ruled_out(x) for x in tensors]
    if all(part is None for part in parts):
        return None
    if packet is aten.sub and isinstance(tensors[-1], Tensor):
        return None
    if packet is aten.mul:
        scalar = args[1]
        positive = isinstance(scalar, int | float) and scalar > 0.01
        return parts[0].expand(shape) if positive and parts[0] is not None else None
    spread = [
        torch.zeros(shape, dtype=torch.bool, device="cpu") if part is None else part.expand(shape)
        for part in parts
    ]
    result = spread[0]
    for part in spread[1:]:
        result = result & part if packet is aten.maximum else result | part
    return result if result.any() else None
