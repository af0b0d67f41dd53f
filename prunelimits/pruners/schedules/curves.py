"""How many weights survive as the rounds go on: pure functions of start, budget and progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from prunelimits.arguments import checked_callable, checked_tensor, shown
from prunelimits.pruners.selection import concrete

Curve: TypeAlias = Callable[[Tensor, Tensor, Tensor | float], Tensor]
"""How many weights survive: of how many there were at first, how many survive in the end (int64,
shaped alike) and the share of the rounds that are done, 0 to 1. A schedule rounds to the nearest,
never goes below the budget, and ends at it."""


def geometric(start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
    """What survives when each round prunes the same share: `N (k / N)^t`.

    Args:
        start: N, how many weights there were at first.
        budget: k, how many survive in the end, of the same shape.
        progress: t, the share of the rounds that are done, 0 to 1.

    Examples:
        >>> n, k = torch.tensor([800]), torch.tensor([100])
        >>> [round(float(geometric(n, k, t / 3))) for t in range(4)]
        [800, 400, 200, 100]
    """
    return start * (budget / start.clamp(min=1).double()).pow(progress)


def linear(start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
    """What survives when each round prunes as many: `k + (N - k)(1 - t)`.

    Examples:
        >>> n, k = torch.tensor([800]), torch.tensor([200])
        >>> [round(float(linear(n, k, t / 3))) for t in range(4)]
        [800, 600, 400, 200]
    """
    return budget + (start - budget) * _remaining(start, progress)


def cubic(start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
    """What survives when pruning slows down: `k + (N - k)(1 - t)^3`.

    From [To prune, or not to prune](https://arxiv.org/abs/1710.01878).

    Examples:
        >>> n, k = torch.tensor([560]), torch.tensor([60])
        >>> [round(float(cubic(n, k, t / 4))) for t in range(5)]
        [560, 271, 122, 68, 60]
    """
    return budget + (start - budget) * _remaining(start, progress) ** 3


def cosine(start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
    """What survives when pruning begins and ends slowly: `k + (N - k)(1 + cos(pi t)) / 2`.

    Examples:
        >>> n, k = torch.tensor([500]), torch.tensor([100])
        >>> [round(float(cosine(n, k, t / 4))) for t in range(5)]
        [500, 441, 300, 159, 100]
    """
    return budget + (start - budget) * half_cosine(progress).to(start.device)


def half_cosine(progress: Tensor | float) -> Tensor:
    """The factor that falls from 1 to 0 along half a cosine: `(1 + cos(pi t)) / 2`, float64.

    Examples:
        >>> [float(half_cosine(t)) for t in (0.0, 0.5, 1.0)]
        [1.0, 0.5, 0.0]
    """
    if not isinstance(progress, Tensor):
        progress = torch.tensor(progress, dtype=torch.float64, device="cpu")
    turn = torch.pi * progress.double()
    return (1 + turn.cos()) / 2


def check_curve(curve: object) -> None:
    """Raises `TypeError` unless it is a function of three arguments."""
    what = "a function of start, budget and progress, such as cubic"
    if isinstance(curve, type):
        raise TypeError(f"curve must be {what}, got {shown(curve)}")
    checked_callable("curve", curve, what, arguments=3)


def survivors(curve: Curve, start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
    """What a curve says, rounded to the nearest weight: from `start` to `budget`, int64.

    Raises:
        ValueError: If the curve gives another shape than a budget's, or NaN.
        TypeError: If it gives no numbers.
    """
    found: object = curve(start, budget, progress)
    try:
        left = checked_tensor("curve", torch.as_tensor(found, device=start.device))
    except (RuntimeError, TypeError, ValueError):
        raise TypeError(f"curve must give numbers, got {shown(found)}") from None
    if left.shape not in (start.shape, torch.Size()):
        raise ValueError(
            f"curve must give numbers shaped like the budget, {tuple(start.shape)}, got "
            f"{tuple(left.shape)}"
        )
    if concrete(left.isnan().any().long()):
        raise ValueError("curve must give numbers, got NaN")
    whole = left.double().nan_to_num().round().to(torch.int64).clamp(budget, start)
    done = torch.as_tensor(progress, device=start.device) >= 1
    return budget.where(done, whole)


def _remaining(start: Tensor, progress: Tensor | float) -> Tensor:
    return 1 - torch.as_tensor(progress, dtype=torch.float64, device=start.device)
