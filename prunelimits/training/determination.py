"""The coefficient of determination: what squared error is reported as."""

from __future__ import annotations

from torch import Tensor


def target_variance(y: Tensor) -> Tensor:
    """The variance of targets `(n, ...)`, in the mean over what a row has, float64."""
    return y.double().var(0, correction=0).mean()


def determination(loss: Tensor, y: Tensor) -> Tensor:
    """R², the share of the targets' variance that is explained: `1 - loss / variance`.

    1 is a network without an error, 0 one that is no better than the targets' mean; it can be
    below. Of several outputs, errors and variances are means over all of them.

    Args:
        loss: Mean squared errors on all rows and outputs, any shape.
        y: The targets, `(n,)` or `(n, outputs)`, not all the same.

    Examples:
        >>> import torch
        >>> determination(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, 2.0])).tolist()
        [1.0, 0.0, -1.0]
    """
    return 1 - loss / target_variance(y)
