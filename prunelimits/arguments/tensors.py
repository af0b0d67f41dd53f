"""Tensors, and where they live, as arguments."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from prunelimits.arguments.shown import shown


def checked_tensor(name: str, value: object, *, finite: bool = False) -> Tensor:
    """`value`, if it is a dense tensor of real numbers or bools that holds data.

    Args:
        name: Of the argument.
        value: What the caller gave.
        finite: Whether NaN and infinities are refused too.

    Raises:
        TypeError: If `value` is not a tensor, or a sparse, quantised or complex one.
        ValueError: If it is on the meta device or has no shape yet, or holds NaN or infinities
            where it may not.

    Examples:
        >>> checked_tensor("x", torch.ones(2))
        tensor([1., 1.])
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, got {shown(value)}")
    if is_lazy(value):
        raise ValueError(
            f"{name} must have a shape, got an uninitialised parameter: run the model on a batch "
            "first"
        )
    if value.layout != torch.strided or value.is_quantized or value.is_complex():
        raise TypeError(
            f"{name} must be a dense tensor of real numbers, got {value.dtype}, {value.layout}"
        )
    if value.is_meta:
        raise ValueError(f"{name} must hold data, got a tensor on the meta device")
    if finite and value.is_floating_point() and not bool(value.isfinite().all()):
        raise ValueError(f"{name} must be finite, got NaN or infinite entries")
    return value


def checked_tensors(name: str, values: object, *, real: bool = True) -> Mapping[str, Tensor]:
    """`values`, if it is dense tensors that hold data, by name.

    Args:
        name: Of the argument.
        values: What the caller gave.
        real: Whether complex numbers are refused too.

    Raises:
        TypeError: If `values` is no mapping, has a key that is not a text, or holds something else.
        ValueError: If a tensor is on the meta device or has no shape yet.

    Examples:
        >>> checked_tensors("noise", {"weight": torch.ones(2)})
        {'weight': tensor([1., 1.])}
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"{name} must be tensors by name, got {shown(values)}")
    for key, value in values.items():
        if not isinstance(key, str):
            raise TypeError(f"{name} must be tensors by name, got the name {shown(key)}")
        if real or not (isinstance(value, Tensor) and value.is_complex()):
            checked_tensor(f"{name}[{key!r}]", value)
    return values


def checked_loss(name: str, value: object) -> Tensor:
    """What the function called `name` gave, if it is a loss: a real tensor without axes.

    Raises:
        TypeError: If it is no tensor, or a complex one.
        ValueError: If it has axes.

    Examples:
        >>> checked_loss("step", torch.tensor(0.5))
        tensor(0.5000)
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must give a tensor of one number, got {shown(value)}")
    if value.is_complex():
        raise TypeError(f"{name} must give a real number, got {value.dtype}")
    if value.dim():
        raise ValueError(
            f"{name} must give one number, such as the mean over the samples, "
            f"got shape {tuple(value.shape)}"
        )
    return value


def checked_device(name: str, value: object) -> torch.device:
    """`value` as a device, if this machine has it.

    Raises:
        TypeError: If `value` is neither a text nor a `torch.device`.
        ValueError: If there is no such device here, or it is the meta device, which holds no data.

    Examples:
        >>> checked_device("device", "cpu")
        device(type='cpu')
    """
    if not isinstance(value, str | torch.device):
        raise TypeError(f"{name} must be a device, such as 'cpu', got {shown(value)}")
    try:
        device = torch.device(value)
        torch.empty(0, device=device)
    # What torch raises where a device is misspelt, was not built in, or is not there.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"{name} must be a device of this machine, such as 'cpu', got {shown(value)}"
        ) from error
    if device.type == "meta":
        raise ValueError(f"{name} must hold data, got {shown(value)}")
    return device
