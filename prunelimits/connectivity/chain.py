"""An MLP as a chain of matrices: its layers read from the names and shapes of masks or params."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch

from prunelimits.masks import check_masks, nonzero_masks
from prunelimits.types import Masks, Params


class _HasShape(Protocol):
    """A matrix of any library."""

    @property
    def shape(self) -> Sequence[int]: ...


@dataclass(frozen=True)
class ChainLayer:
    """One layer of an MLP.

    Attributes:
        weight: The name of its weight matrix `(..., d_out, d_in)`.
        bias: The name of its bias vector `(..., d_out)`. None: there is none.
    """

    weight: str
    bias: str | None


def chain_layers(named: Mapping[str, _HasShape]) -> list[ChainLayer]:
    """The layers of an MLP, first to last, in the order in which their weights are named.

    Raises:
        ValueError: If a name ends in neither weight nor bias, a bias has no weight, leading axes
            differ, or the shapes do not chain.
    """
    weights = [name for name in named if name.endswith("weight")]
    if not weights:
        raise ValueError(f"masks must name at least one weight, got {sorted(named)}")
    layers: list[ChainLayer] = []
    for name in weights:
        bias = name.removesuffix("weight") + "bias"
        layers.append(ChainLayer(name, bias if bias in named else None))
    unknown = set(named) - set(weights) - {layer.bias for layer in layers}
    if unknown:
        raise ValueError(
            f"names must end in weight, or in bias beside a weight, got {sorted(unknown)}"
        )
    _check_shapes(named, layers)
    return layers


def check_finite(params: Params, masks: Masks, argument: str) -> None:
    """Raises if a parameter of `argument` that the masks keep is NaN or infinite.

    Raises:
        ValueError: If one is; the message names it.
    """
    for name, value in params.items():
        if value.is_floating_point() and value.itemsize == 1:  # torch does not sum 8 bits
            value = value.float()
        if bool(value.sum().isfinite()):
            # One that is not finite would show.
            continue
        kept = value[masks[name].to(value.device)] if name in masks else value
        if not kept.isfinite().all():
            raise ValueError(
                f"{argument}: parameters that are kept must be finite, {name!r} is not: repair it, "
                "or mask what is not"
            )


def whole_masks(params: Params, masks: Masks | None) -> Masks:
    """A mask for every parameter: zeros are the mask where none are given.

    Raises:
        ValueError: If a mask names no parameter or has another shape.
        TypeError: If a mask is not a bool tensor.
    """
    if masks is None:
        return nonzero_masks(params)
    check_masks(params, masks)
    # A name that is absent is kept whole.
    return {
        name: masks[name].to(value.device)
        if name in masks
        else torch.ones_like(value, dtype=torch.bool)
        for name, value in params.items()
    }


def _check_shapes(named: Mapping[str, _HasShape], layers: list[ChainLayer]) -> None:
    shapes = {name: tuple(value.shape) for name, value in named.items()}
    for layer in layers:
        shape = shapes[layer.weight]
        if len(shape) < 2:
            raise ValueError(f"{layer.weight!r} must be (..., d_out, d_in), got shape {shape}")
        if 0 in shape[-2:]:
            raise ValueError(f"{layer.weight!r} must have inputs and outputs, got shape {shape}")
        if layer.bias is not None and shapes[layer.bias] != shape[:-1]:
            raise ValueError(
                f"{layer.bias!r} must have shape {shape[:-1]}, got {shapes[layer.bias]}"
            )
    models = {shapes[layer.weight][:-2] for layer in layers}
    if len(models) > 1:
        raise ValueError(f"the leading axes must all be the same, got {sorted(models)}")
    for before, after in pairwise(layers):
        if shapes[before.weight][-2] != shapes[after.weight][-1]:
            raise ValueError(
                f"the layers must chain: {before.weight!r} has {shapes[before.weight][-2]} "
                f"outputs but {after.weight!r} {shapes[after.weight][-1]} inputs"
            )
