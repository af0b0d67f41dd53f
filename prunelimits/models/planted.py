"""Sparse networks for tasks whose solution is known: those of Plant 'n' Seek.

[Plant 'n' Seek: Can you find the winning ticket?](https://arxiv.org/abs/2111.11153) solves three
tasks by hand, `datasets.planted_circle`, `planted_relu` and `planted_helix`, and hides the networks
in wide ones, see `plant`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from prunelimits.arguments import checked_instance, checked_integer
from prunelimits.models.mlp import MLP
from prunelimits.types import Masks, Params

_MOST = 10_000


def circle_network(
    hidden_layers: int = 4, *, knots: int = 10, dtype: torch.dtype = torch.float32
) -> tuple[MLP, Masks]:
    """A network for `datasets.planted_circle`.

    The first layer takes both coordinates and their negatives, the second their absolute values,
    the third bends each at `knots` places, `relu(|x| - k / knots)`, the fourth adds up to what is
    nearly the squared radius, further ones pass it on, and class c has the logit `c r^2` minus the
    borders below it. Between the knots the square is a chord's: up to `1 / (4 knots^2)` too large.

    Args:
        hidden_layers: At least four.
        knots: Straight pieces of the square of a coordinate.
        dtype: Of the parameters.

    Returns:
        The network and its masks: nothing is kept but what is not zero.

    Raises:
        ValueError: If a number is out of its range.
        TypeError: If an argument is of another kind.

    Examples:
        >>> model, masks = circle_network()
        >>> sum(int(mask.sum()) for name, mask in masks.items() if name.endswith("weight"))
        51
        >>> model(torch.tensor([[0.1, 0.1], [0.5, 0.3], [0.8, 0.1], [1.0, 1.0]])).argmax(1).tolist()
        [0, 1, 2, 3]
    """
    hidden_layers = checked_integer("hidden_layers", hidden_layers, 4, _MOST)
    knots = checked_integer("knots", knots, 1, _MOST)
    mirrored = _rows([[1, 0], [-1, 0], [0, 1], [0, -1]])
    absolute = _rows([[1, 1, 0, 0], [0, 0, 1, 1]])
    bends = torch.zeros(2 * knots, 2, dtype=torch.float64, device="cpu")
    bends[:knots, 0] = bends[knots:, 1] = 1
    places = -_numbers(knots) / knots
    steps = torch.full((knots,), 2 / knots, dtype=torch.float64, device="cpu")
    steps[0] = 1 / knots
    layers = [
        (mirrored, _zeros(4)),
        (absolute, _zeros(2)),
        (bends, torch.cat([places, places])),
        (torch.cat([steps, steps])[None], _zeros(1)),
        *[(_rows([[1]]), _zeros(1))] * (hidden_layers - 4),
        # Where the lines of two classes cross, one ends and the next begins.
        (_rows([[0], [1], [2], [3]]), -_rows([0.0, 0.2, 0.7, 1.4])),
    ]
    return _network(2, layers, dtype)


def relu_network(
    hidden_layers: int = 4, *, dtype: torch.dtype = torch.float32
) -> tuple[MLP, Masks]:
    """A network for `datasets.planted_relu`: a single weight of 1 in every layer.

    Arguments, what is returned, and errors are those of `circle_network`; one hidden layer is
    enough.

    Examples:
        >>> model, masks = relu_network(2)
        >>> sum(int(mask.sum()) for mask in masks.values())
        3
        >>> model(torch.tensor([[-0.5], [0.5]])).tolist()
        [[0.0], [0.5]]
    """
    hidden_layers = checked_integer("hidden_layers", hidden_layers, 1, _MOST)
    return _network(1, [(_rows([[1]]), _zeros(1))] * (hidden_layers + 1), dtype)


def helix_network(
    hidden_layers: int = 4, *, knots: int = 30, dtype: torch.dtype = torch.float32
) -> tuple[MLP, Masks]:
    """A network for `datasets.planted_helix`.

    The first layer takes `x + 1`, others pass it on, the last hidden one bends it at `knots`
    places, and the outputs join the helix' points there by straight lines. The third output is a
    straight line itself and needs one unit alone.

    Args:
        hidden_layers: At least one.
        knots: Straight pieces of the helix.
        dtype: Of the parameters.

    Returns:
        The network and its masks: nothing is kept but what is not zero.

    Raises:
        ValueError: If a number is out of its range.
        TypeError: If an argument is of another kind.

    Examples:
        >>> model, masks = helix_network()
        >>> sum(int(mask.sum()) for name, mask in masks.items() if name.endswith("weight"))
        94
    """
    hidden_layers = checked_integer("hidden_layers", hidden_layers, 1, _MOST)
    knots = checked_integer("knots", knots, 1, _MOST)
    x = 2 * torch.arange(knots + 1, dtype=torch.float64, device="cpu") / knots - 1
    angle = 5 * math.pi + 3 * math.pi * x
    points = torch.stack([angle * angle.cos(), angle * angle.sin(), angle]) / (8 * math.pi)
    slopes = points.diff(dim=1) * (knots / 2)
    turns = torch.cat([slopes[:, :1], slopes.diff(dim=1)], 1)
    turns[2, 1:] = 0.0
    ones = torch.ones(knots, 1, dtype=torch.float64, device="cpu")
    one = _rows([[1]])
    passed = [(one, _zeros(1) + 1), *[(one, _zeros(1))] * (hidden_layers - 2)]
    # Without a layer before it, the bends are those of `x + 1` all the same.
    offset = 1.0 if hidden_layers == 1 else 0.0
    bends = (ones, offset - 2 * _numbers(knots) / knots)
    layers = [*(passed if hidden_layers > 1 else []), bends, (turns, points[:, 0])]
    return _network(1, layers, dtype)


def _network(
    inputs: int, layers: list[tuple[Tensor, Tensor]], dtype: torch.dtype
) -> tuple[MLP, Masks]:
    checked_instance("dtype", dtype, torch.dtype, "a torch.dtype")
    if not dtype.is_floating_point:
        raise ValueError(f"dtype must be a floating-point type, got {dtype}")
    params: Params = {}
    for number, (weight, bias) in enumerate(layers):
        params[f"layers.{number}.weight"] = weight.to(dtype)
        params[f"layers.{number}.bias"] = bias.to(dtype)
    widths = (inputs, *(len(bias) for _, bias in layers))
    return MLP.from_params(widths, params), {name: value != 0 for name, value in params.items()}


def _rows(numbers: list[list[int]] | list[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64, device="cpu")


def _numbers(count: int) -> Tensor:
    return torch.arange(count, dtype=torch.float64, device="cpu")


def _zeros(count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.float64, device="cpu")
