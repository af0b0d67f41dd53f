"""Networks side by side as plain tensors by name, and back, checked to be what they can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from prunelimits.arguments import checked_integer
from prunelimits.elimination.module_stack import ModuleStack
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.stack import AnyStack
from prunelimits.models import check_widths, parameter_shapes
from prunelimits.types import Masks, Params


def plain_networks(networks: NetworkStack) -> dict[str, Any]:
    """MLPs as plain tensors."""
    # Not dataclasses.asdict: it copies every tensor. Clones, because a slice would be written
    # with all that it is a slice of.
    return {
        "widths": networks.widths,
        "params": {name: value.clone() for name, value in networks.params.items()},
        "masks": {name: mask.clone() for name, mask in networks.masks.items()},
        "units": tuple(unit.clone() for unit in networks.units),
        "origin": networks.origin.clone(),
        "score": networks.score.clone(),
        "loss": networks.loss.clone(),
    }


def plain_modules(networks: ModuleStack) -> dict[str, Any]:
    """Modules as plain tensors."""
    named = (networks.state, networks.masks)
    state, masks = ({n: v.contiguous().clone() for n, v in part.items()} for part in named)
    return {
        "state": state,
        "masks": masks,
        "origin": networks.origin.clone(),
        "score": networks.score.clone(),
    }


def by_checked_size(
    loaded: dict[int, Any], checked: Callable[[Any], AnyStack]
) -> Mapping[int, AnyStack]:
    """Networks by their size, each stack `checked`.

    Raises:
        TypeError, ValueError: If one has another size, or is no such stack.
    """
    result = {checked_integer("size", size, 0): checked(plain) for size, plain in loaded.items()}
    for size, networks in result.items():
        if not len(networks) or not bool((networks.nonzeros() == size).all()):
            raise ValueError(f"networks listed under {size} nonzeros must have as many")
    return result


def checked_networks(plain: dict[str, Any]) -> NetworkStack:
    """The MLPs of a file, if they are what such networks can be.

    Raises:
        KeyError, TypeError, ValueError: If they are not.
    """
    networks = NetworkStack(**plain)
    shapes, models = parameter_shapes(check_widths(networks.widths)), len(networks.origin)
    for named, dtype in ((networks.params, torch.float32), (networks.masks, torch.bool)):
        if list(named) != list(shapes):
            raise ValueError(f"parameters must be {list(shapes)}, got {list(named)}")
        for name, shape in shapes.items():
            _check(name, named[name], (models, *shape), dtype)
    if len(networks.units) != len(networks.widths) - 2:
        raise ValueError(f"units must be given for {len(networks.widths) - 2} hidden layers")
    for width, unit in zip(networks.widths[1:-1], networks.units, strict=True):
        _check("units", unit, (models, width), torch.int64)
    _check("origin", networks.origin, (models,), torch.int64)
    _check("score", networks.score, (models,), torch.float64)
    _check("loss", networks.loss, (models,), torch.float64)
    return networks


def _check(name: str, value: object, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    # A view could claim a huge shape with a few numbers behind it.
    if not isinstance(value, Tensor) or not value.is_contiguous() or value.is_meta:
        raise ValueError(f"{name} must be a whole tensor")
    if value.shape != shape or value.dtype != dtype:
        raise ValueError(f"{name} must be {shape} of {dtype}, got {tuple(value.shape)}")


def checked_modules(plain: dict[str, Any], state: Params, masks: Masks) -> ModuleStack:
    """The modules of a file, if they are of the form of one module's tensors and masks.

    Raises:
        KeyError, TypeError, ValueError: If they are not.
    """
    networks, models = ModuleStack(**plain), len(plain["origin"])
    for named, form in ((networks.state, state), (networks.masks, masks)):
        if list(named) != list(form):
            raise ValueError(f"tensors must be {list(form)}, got {list(named)}")
        for name, value in form.items():
            _check(name, named[name], (models, *value.shape), value.dtype)
    _check("origin", networks.origin, (models,), torch.int64)
    _check("score", networks.score, (models,), torch.float64)
    return networks
