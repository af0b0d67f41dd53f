"""How many weights survive each round, and how many of them move."""

from __future__ import annotations

import torch
from torch import Tensor


def exponential(start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
    """What survives when each round prunes the same share: `N (k / N)^t`, rounded.

    Never less than `budget`, and `budget` itself at the end.

    Args:
        start: N, how many weights there were at first, int64.
        budget: k, how many survive in the end, int64 of the same shape.
        progress: t, the share of the rounds that are done, 0 to 1.

    Examples:
        >>> n, k = torch.tensor([800]), torch.tensor([100])
        >>> [int(exponential(n, k, t / 3)) for t in range(4)]
        [800, 400, 200, 100]
    """
    share = (budget / start.clamp(min=1).double()).pow(progress)
    return _between(start * share, budget, start)


def cubic(start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
    """What survives when pruning slows down: `k + (N - k)(1 - t)^3`, rounded.

    From [To prune, or not to prune](https://arxiv.org/abs/1710.01878), with arguments as in
    `exponential`.

    Examples:
        >>> n, k = torch.tensor([560]), torch.tensor([60])
        >>> [int(cubic(n, k, t / 4)) for t in range(5)]
        [560, 271, 122, 68, 60]
    """
    remaining = 1 - torch.as_tensor(progress, dtype=torch.float64, device=start.device)
    return _between(budget + (start - budget) * remaining**3, budget, start)


def cosine(progress: Tensor | float) -> Tensor:
    """The factor that falls from 1 to 0 along half a cosine: `(1 + cos(pi t)) / 2`, float64.

    Examples:
        >>> [float(cosine(t)) for t in (0.0, 0.5, 1.0)]
        [1.0, 0.5, 0.0]
    """
    if not isinstance(progress, Tensor):
        progress = torch.tensor(progress, dtype=torch.float64, device="cpu")
    turn = torch.pi * progress.double()
    return (1 + turn.cos()) / 2


def _between(survivors: Tensor, least: Tensor, most: Tensor) -> Tensor:
    return survivors.round().to(torch.int64).clamp(least, most)
