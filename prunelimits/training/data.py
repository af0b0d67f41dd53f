"""Data as the engines want it: checked once, in one dtype, on one device."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from prunelimits.arguments import checked_choice, checked_tensor
from prunelimits.modes import differentiable
from prunelimits.training.engine import Loss


def default_loss(outputs: int) -> Loss:
    """Binary cross-entropy for one output, cross-entropy for several."""
    return "binary_cross_entropy" if outputs == 1 else "cross_entropy"


def check_data(
    x: Tensor,
    y: Tensor,
    *,
    inputs: int,
    outputs: int,
    loss: Loss,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor]:
    """`x` and `y` for a network of `inputs` and `outputs` and a loss.

    Returns:
        `x` as `(n, inputs)` of `dtype`; `y` as the loss wants it: `dtype` `(n,)` of 0 and 1, int64
        `(n,)`, or `dtype` `(n, outputs)`.

    Raises:
        ValueError: If the data is empty, holds NaN or infinity in that dtype, or does not fit the
            network or the loss.
        TypeError: If `x` or `y` is not a dense tensor of real numbers.
    """
    checked_choice("loss", loss, get_args(Loss))
    x, y = checked_tensor("x", x), checked_tensor("y", y)
    if x.dim() != 2 or x.shape[1] != inputs:
        raise ValueError(f"x must have shape (n, {inputs}), got {tuple(x.shape)}")
    if len(x) == 0:
        raise ValueError(f"x must hold at least one sample, got shape {tuple(x.shape)}")
    if y.dim() == 0 or len(y) != len(x):
        raise ValueError(f"y must have one entry for each of the {len(x)} samples, got {_shape(y)}")
    x = differentiable(x.detach().to(device, dtype))
    y = differentiable(y.detach().to(device, dtype if loss == "mse" else y.dtype))
    for name, value in (("x", x), ("y", y)):
        finite = value.isfinite()
        if not finite.all():
            first = (~finite).nonzero()[0].tolist()
            raise ValueError(f"{name} must be finite, got {value[tuple(first)]} at {first}")
    match loss:
        case "binary_cross_entropy":
            if outputs != 1:
                raise ValueError(f"binary_cross_entropy needs one output, got {outputs}")
            if y.dim() != 1 or not ((y == 0) | (y == 1)).all():
                raise ValueError(f"y must be labels 0 and 1 of shape (n,), got {_describe(y)}")
            return x, y.to(dtype)
        case "cross_entropy":
            if outputs < 2:
                raise ValueError(f"cross_entropy needs at least two outputs, got {outputs}")
            if y.dim() != 1 or y.is_floating_point() or not ((y >= 0) & (y < outputs)).all():
                raise ValueError(
                    f"y must be integer labels 0 to {outputs - 1} of shape (n,), got {_describe(y)}"
                )
            return x, y.long()
        case "mse":
            targets = y.unsqueeze(1) if y.dim() == 1 and outputs == 1 else y
            if targets.shape != (len(x), outputs):
                raise ValueError(f"y must have shape (n, {outputs}), got {_describe(y)}")
            return x, targets


def _describe(y: Tensor) -> str:
    values = f" with values {y.min()} to {y.max()}" if y.numel() else ""
    return f"{y.dtype} of {_shape(y)}{values}"


def _shape(y: Tensor) -> str:
    return f"shape {tuple(y.shape)}"
