"""Initial parameters: each a function of its seed, layer, row and column."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from prunelimits.arguments import checked_size, checked_sizes
from prunelimits.models.mlp import check_widths, parameter_shapes
from prunelimits.randomness import derive, seed_words, uniform
from prunelimits.types import Params


def member_seeds(seed: int, models: int) -> list[int]:
    """The seeds of `MLPEnsemble(..., models=models, seed=seed)`: `models` 63-bit integers."""
    return [int(word) >> 1 for word in derive(seed, np.arange(models))]


def initial_params(
    widths: Sequence[int],
    seeds: Sequence[int],
    *,
    init_width: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Params:
    """Parameters drawn like `nn.Linear`'s default, one network for every seed.

    Weights and biases of a layer are uniform in `[-1/sqrt(fan_in), 1/sqrt(fan_in)]`. Each number
    depends on its seed, layer, row and column alone: two networks of one seed share their leading
    blocks up to the scale, and exactly if `init_width` is the same.

    Args:
        widths: Inputs, hidden units, outputs.
        seeds: One integer a network.
        init_width: The hidden width that sets the fan-in of layers after the first, whatever the
            widths: the paper trains masks of a width-16 network, so its narrow networks start
            from the leading block of a wide one. None: the widths' own.
        dtype: Of the parameters.

    Returns:
        Name -> tensor `(len(seeds), *shape)`.

    Raises:
        ValueError: If `init_width` is below the widest hidden layer.
        TypeError: If a seed or `init_width` is not an integer.
    """
    widths = checked_sizes("widths", check_widths(widths))
    check_init_width(widths, init_width)
    word = seed_words(seeds)[:, None, None]
    result: Params = {}
    for name, shape in parameter_shapes(widths).items():
        layer, is_bias = int(name.split(".")[1]), name.endswith("bias")
        fan_in = widths[layer] if layer == 0 or init_width is None else init_width
        rows = np.arange(shape[0])[:, None]
        columns = np.arange(1 if is_bias else shape[1])
        place = derive(2 * layer + is_bias, rows, columns)
        numbers = (2 * uniform(word ^ place) - 1) / math.sqrt(fan_in)
        result[name] = torch.from_numpy(numbers.reshape(len(seeds), *shape)).to(dtype)
    return result


def check_init_width(widths: tuple[int, ...], init_width: int | None) -> None:
    """Raises if the width that sets the fan-in is narrower than a hidden layer."""
    if init_width is None:
        return
    init_width = checked_size("init_width", init_width)
    if init_width < max(widths[1:-1], default=1):
        raise ValueError(
            f"init_width must be at least the widest hidden layer of {widths}, got {init_width}"
        )
