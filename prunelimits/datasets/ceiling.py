"""How right anybody can be: rows of equal inputs and unequal labels bound every network."""

from __future__ import annotations

import torch
from torch import Tensor

from prunelimits.arguments import checked_number, checked_tensor


def accuracy_ceiling(x: Tensor, y: Tensor) -> float:
    """The highest accuracy that any function of the inputs can have on these rows.

    Rows with the same inputs get the same answer, so of each group of equal rows at most the most
    frequent label is right: `sum over groups of max_c n_c / n`. It is 1 where no two rows with the
    same inputs have different labels.

    Args:
        x: Inputs, `(n, ...)`; 0 and -0 are the same.
        y: Labels, `(n,)`.

    Raises:
        ValueError: If there are no rows, or not one label for each, or one is not finite.
        TypeError: If an argument is no tensor.

    Examples:
        >>> accuracy_ceiling(torch.tensor([[1.0], [1.0], [1.0], [2.0]]), torch.tensor([0, 1, 1, 0]))
        0.75
    """
    x, y = checked_tensor("x", x), checked_tensor("y", y, finite=True)
    if x.dim() < 2 or y.dim() != 1 or len(x) != len(y) or x.numel() == 0:
        raise ValueError(
            f"x must have shape (n, inputs) with rows and y (n,), got {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
    labels = y.detach().cpu().unique(return_inverse=True)[1]
    shared, group = _equal_rows(x)
    if not len(shared):
        return 1.0
    counts = torch.zeros(
        int(group.max()) + 1, int(labels.max()) + 1, dtype=torch.long, device="cpu"
    )
    ones = torch.ones_like(group)
    counts.index_put_((group, labels[shared]), ones, accumulate=True)
    wrong = len(shared) - int(counts.max(1).values.sum())
    return (len(x) - wrong) / len(x)


def determination_ceiling(x: Tensor, y: Tensor) -> float:
    """The highest coefficient of determination of any function of the inputs on these rows.

    The best answer to rows with the same inputs is the mean of their targets, so that what is left
    is the variance within groups of equal rows: `1 - within / whole`. It is 1 where no two rows
    with the same inputs have different targets.

    Args:
        x: Inputs, `(n, ...)`; 0 and -0 are the same.
        y: Targets, `(n,)` or `(n, outputs)`, not all the same.

    Examples:
        >>> x, y = torch.tensor([[1.0], [1.0], [2.0]]), torch.tensor([0.0, 2.0, 4.0])
        >>> determination_ceiling(x, y)
        0.75
    """
    targets = y.detach().cpu().double().reshape(len(y), -1)
    shared, group = _equal_rows(x)
    if not len(shared):
        return 1.0
    sums = torch.zeros(int(group.max()) + 1, targets.shape[1], dtype=torch.float64, device="cpu")
    sums.index_add_(0, group, targets[shared])
    means = sums / group.bincount().unsqueeze(1)
    within = (targets[shared] - means[group]).square().sum()
    return 1 - float(within / (targets - targets.mean(0)).square().sum())


def check_reachable(target: float, x: Tensor, y: Tensor, *, numbers: bool = False) -> None:
    """Refuses a target that no function of the inputs reaches, before anything trains.

    Args:
        target: Accuracy to reach, or the coefficient of determination.
        x: Inputs that it is measured on, `(n, ...)`.
        y: Their labels, `(n,)`, or targets.
        numbers: Whether these are numbers to predict.

    Raises:
        ValueError: If `target` is above `accuracy_ceiling`, or `determination_ceiling`.
        TypeError: If an argument is of another kind.

    Examples:
        >>> check_reachable(0.7, torch.tensor([[1.0], [1.0], [2.0]]), torch.tensor([0, 1, 1]))
        Traceback (most recent call last):
        ValueError: target must be at most 0.666667, as equal rows have different labels, got 0.7
    """
    target = checked_number("target", target)
    # With room for the rounding of means.
    most = determination_ceiling(x, y) + 1e-9 if numbers else accuracy_ceiling(x, y)
    if target > most:
        raise ValueError(
            f"target must be at most {most:.6g}, as equal rows have different "
            f"{'numbers' if numbers else 'labels'}, got {target:g}"
        )


def _equal_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """The rows that perhaps equal another one, and which of them are equal: a number a group."""
    rows = x.detach().cpu().flatten(1).double() + 0.0  # -0 becomes 0
    shared = _perhaps_shared(rows)
    return shared, rows[shared].unique(dim=0, return_inverse=True)[1] if len(shared) else shared


def _perhaps_shared(rows: Tensor) -> Tensor:
    """Which rows may equal another one: those that share a sum modulo 2^64 of weighted bits."""
    bits = rows.view(torch.int64)
    generator = torch.Generator("cpu").manual_seed(0)
    factors = torch.randint(
        -(2**63), 2**63 - 1, (bits.shape[1],), generator=generator, dtype=torch.int64, device="cpu"
    )
    key = (bits * factors).sum(1)
    _, group, count = key.unique(return_inverse=True, return_counts=True)
    return (count[group] > 1).nonzero()[:, 0]
