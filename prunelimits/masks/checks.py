"""Checks of masks and of the parameters that they belong to."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from prunelimits.arguments import checked_tensor, checked_tensors, shown
from prunelimits.types import Masks


def check_masks(params: Mapping[str, Tensor], masks: Masks) -> None:
    """Raises if the masks do not fit the parameters.

    Raises:
        ValueError: If a mask names no parameter, has another shape or holds no data.
        TypeError: If either is not tensors by name, or a mask is not a dense bool tensor.
    """
    checked_tensors("params", params, real=False)
    check_bools(masks)
    for name, mask in masks.items():
        if name not in params:
            raise ValueError(f"masks names {name!r}, which is not among {sorted(params)}")
        if mask.shape != params[name].shape:
            raise ValueError(
                f"masks[{name!r}] must have shape {tuple(params[name].shape)}, "
                f"got {tuple(mask.shape)}"
            )


def check_bools(masks: Masks) -> None:
    """Raises if masks are not bool tensors by name.

    Raises:
        TypeError: If they are not.
        ValueError: If one is on the meta device.
    """
    if not isinstance(masks, Mapping):
        raise TypeError(f"masks must be bool tensors by name, got {shown(masks)}")
    for name, mask in masks.items():
        if not isinstance(name, str):
            raise TypeError(f"masks must be bool tensors by name, got the name {shown(name)}")
        check_bool(name, mask)


def check_bool(name: str, mask: object) -> None:
    """Raises unless a mask is a dense bool tensor that holds data; the message names it.

    Raises:
        TypeError: If it is something else.
        ValueError: If it is on the meta device.
    """
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"masks[{name!r}] must be a bool tensor, got {kind}")
    checked_tensor(f"masks[{name!r}]", mask)
