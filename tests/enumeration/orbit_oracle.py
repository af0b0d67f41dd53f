"""Orbits of whole networks by brute force: every labelled mask, every permutation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor

from prunelimits.models import parameter_shapes

# Every kind of chain: no, one or several hidden layers, one or several blocks, equal widths and
# different ones, nodes of three units (with two, a permutation is its own inverse).
SMALL = [
    (2, 2),
    (3, 2),
    (1, 1, 1),
    (2, 3, 1),
    (2, 3, 2),
    (3, 3, 3),
    (2, 2, 2, 1),
    (1, 3, 3, 1),
    (2, 3, 3, 1),
    (1, 4, 2, 1),
    (2, 2, 2, 2, 1),
    (1, 2, 3, 2, 1),
    (1, 3, 1, 3, 1),
    (2, 1, 3, 2, 1),
    (1, 2, 2, 2, 2, 1),
    (1, 1, 3, 1, 2, 1),
    (1, 2, 1, 2, 2, 2, 1),
]


def weight_masks(d_in: int, d_out: int, used: str = "all") -> list[np.ndarray]:
    """Every binary matrix without a zero row and, if all columns must be used, a zero column."""
    every = (
        np.array(bits, dtype=bool).reshape(d_out, d_in)
        for bits in itertools.product((0, 1), repeat=d_in * d_out)
    )
    return [mask for mask in every if mask.any(1).all() and (used == "any" or mask.any(0).all())]


def labelled_networks(widths: tuple[int, ...], inputs: str = "all") -> Tensor:
    """Every mask of every layer together, one a row, flattened with biases kept."""
    layers = [
        weight_masks(*shape, "all" if layer else inputs)
        for layer, shape in enumerate(itertools.pairwise(widths))
    ]
    return torch.from_numpy(
        np.stack(
            [
                np.concatenate([np.append(mask, np.ones(len(mask), dtype=bool)) for mask in masks])
                for masks in itertools.product(*layers)
            ]
        )
    )


def relabelled(rows: Tensor, widths: tuple[int, ...], images: list[tuple[int, ...]]) -> Tensor:
    """The networks after unit u of hidden layer h + 1 has become unit `images[h][u]`."""
    everywhere = [tuple(range(widths[0])), *images, tuple(range(widths[-1]))]
    places = torch.empty(rows.shape[1], dtype=torch.long)
    start = 0
    for name, shape in parameter_shapes(widths).items():
        layer = int(name.split(".")[1])
        above = everywhere[layer + 1]
        below = everywhere[layer] if len(shape) == 2 else (0,)
        columns = len(below)
        for row, column in itertools.product(range(shape[0]), range(columns)):
            places[start + above[row] * columns + below[column]] = start + row * columns + column
        start += math.prod(shape)
    return rows[:, places]


def every_relabelling(widths: tuple[int, ...]) -> list[list[tuple[int, ...]]]:
    """All permutations of the hidden units, layer by layer."""
    layers = (itertools.permutations(range(units)) for units in widths[1:-1])
    return [list(images) for images in itertools.product(*layers)]


def orbit_names(rows: Tensor, widths: tuple[int, ...]) -> Tensor:
    """A number for each network that is the same for all of its relabellings and no others."""
    assert rows.shape[1] < 63
    place_values = 2 ** torch.arange(rows.shape[1])
    codes = [
        (relabelled(rows, widths, images) * place_values).sum(dim=1)
        for images in every_relabelling(widths)
    ]
    return torch.stack(codes).amin(dim=0)
