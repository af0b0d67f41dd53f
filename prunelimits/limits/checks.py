"""Checks that several functions of this room make of their arguments, at the door."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from prunelimits.arguments import checked_integer, checked_tensor, checked_tensors, shown
from prunelimits.masks import check_masks
from prunelimits.types import Masks, Params

# Of random vectors, steps and the like: so many fit into memory, if they are short.
_MOST = 10**7

# What the start of torch's random numbers is, and of this library's.
_SEEDS = -(2**63), 2**63 - 1


def check_weights(weights: Params, masks: Masks | None) -> None:
    """Raises unless weights are real tensors by name and the masks fit them.

    Raises:
        TypeError: If one is of another kind.
        ValueError: If there is no weight, or a mask names none or has another shape.
    """
    if not checked_tensors("weights", weights):
        raise ValueError("weights must hold at least one tensor, got none")
    if masks is not None:
        check_masks(weights, masks)


def masks_of(weights: Params, masks: Masks | None) -> Masks | None:
    """The masks of these weights alone: a network's may be of biases as well."""
    return None if masks is None else {name: masks[name] for name in masks if name in weights}


def check_params(params: Params) -> None:
    """Raises unless parameters are real tensors by name, at least one.

    Raises:
        TypeError: If one is of another kind.
        ValueError: If there is none.
    """
    if not checked_tensors("params", params):
        raise ValueError("params must hold at least one tensor, got none")


def checked_magnitudes(magnitudes: object) -> Tensor:
    """Magnitudes: float64 `(weights,)`, ascending, such as `sorted_magnitudes` makes.

    Raises:
        TypeError: If they are no tensor of real numbers.
        ValueError: If there is none, one is negative or not finite, or they do not ascend.
    """
    values = checked_vector("magnitudes", magnitudes)
    if bool((values < 0).any()) or bool((values.diff() < 0).any()):
        raise ValueError(
            "magnitudes must be at least 0 and ascend, as sorted_magnitudes gives them"
        )
    return values


def checked_vector(name: str, value: object) -> Tensor:
    """A vector of at least one finite number, float64.

    Raises:
        TypeError: If it is no tensor of real numbers.
        ValueError: If it has other axes, or none or not finite numbers.
    """
    vector = checked_tensor(name, value, finite=True)
    if vector.dim() != 1 or not len(vector):
        raise ValueError(f"{name} must be a vector of at least one number, got {shown(vector)}")
    return vector.detach().double()


def checked_count(name: str, value: object, least: int = 1) -> int:
    """How many random vectors, steps and the like: an integer from `least` to ten million.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is out of its range.
    """
    return checked_integer(name, checked_integer(name, value, least), most=_MOST)


def checked_seed(seed: object) -> int:
    """A seed of 64 bits.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it has more bits.
    """
    return checked_integer("seed", seed, *_SEEDS)


def check_dtype(dtype: object) -> None:
    """Raises `TypeError` unless it is torch.float32, torch.float64 or None."""
    if dtype is not None and (
        not isinstance(dtype, torch.dtype) or dtype not in (torch.float32, torch.float64)
    ):
        raise TypeError(f"dtype must be torch.float32 or torch.float64, got {shown(dtype)}")


def checked_names(name: str, values: object) -> tuple[str, ...]:
    """Names of parameters: an iterable of texts, not one text.

    Raises:
        TypeError: If it is none.
    """
    if isinstance(values, str | bytes | Tensor) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be names of parameters, got {shown(values)}")
    names: list[str] = []
    for value in values:  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(value, str):
            raise TypeError(f"{name} must be names of parameters, got {shown(value)}")  # pyright: ignore[reportUnknownArgumentType]
        names.append(value)
    return tuple(names)
