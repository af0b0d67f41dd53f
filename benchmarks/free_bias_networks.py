"""Every four-layer network of so many weights and biases: how many there are, and which.

    python benchmarks/free_bias_networks.py 18 --table docs/results/free-bias-networks.csv

Here a bias is a parameter like others, which a unit may have or not. Counted are networks with two
inputs, both in use, three hidden layers and one output in which every unit has an input and leads
on, so that it lies on a path, up to the order of hidden units. A unit without inputs is a constant,
which the next biases can have. To count them they are not written out: by Burnside's lemma their
number is the mean, over all orders of the units, of the number of networks that an order leaves as
they are. Those of at most `--written` parameters are written out, too, and `superfluous` tells
those whose classes a network of fewer parameters has as well, or another one of as many.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations, product, zip_longest
from math import factorial, gcd, prod
from typing import TypeAlias

import numpy as np
import torch
from command_line import at_least_one, table_path
from lower_bound import most_cells
from torch import Tensor

from prunelimits.elimination.signatures import signatures
from prunelimits.enumeration import ModelMasks
from prunelimits.masks import unflatten
from prunelimits.models import parameter_shapes
from prunelimits.types import Masks

CELLS = 8
"""Needed for 95 %: docs/lower-bound.md."""

Polynomial: TypeAlias = tuple[int, ...]
"""How many there are with no parameter, one, two, and so on."""
Cycles: TypeAlias = tuple[int, ...]
"""The lengths of an order's cycles, the longest first."""


def times(left: Polynomial, right: Polynomial, most: int) -> Polynomial:
    """The product, up to the power `most`."""
    result = [0] * (min(most, len(left) + len(right) - 2) + 1)
    for i, a in enumerate(left):
        if a:
            for j, b in enumerate(right[: most + 1 - i]):
                result[i + j] += a * b
    return tuple(result)


def power(length: int, exponent: int, most: int) -> Polynomial:
    """(1 + z^length)^exponent, up to the power `most`."""
    one = (1, *[0] * (length - 1), 1)
    result: Polynomial = (1,)
    for _ in range(exponent):
        result = times(result, one, most)
    return result


def partitions(number: int, largest: int | None = None) -> Iterator[Cycles]:
    """All ways to write a number as a sum of positive ones, the largest first."""
    if number == 0:
        yield ()
    for first in range(min(number, largest or number), 0, -1):
        for rest in partitions(number - first, first):
            yield (first, *rest)


def orders(cycles: Cycles) -> int:
    """How many orders have these cycles."""
    repeated = prod(length**count * factorial(count) for length, count in Counter(cycles).items())
    return factorial(sum(cycles)) // repeated


@cache
def matrices(rows: Cycles, columns: Cycles, most: int) -> Polynomial:
    """Matrices that two orders leave as they are and without an empty row or column, by entries.

    By inclusion and exclusion: a cycle's rows are empty together.
    """
    total = [0] * (most + 1)
    for some_rows, some_columns in product(parts(rows), parts(columns)):
        sign = (-1) ** (len(rows) - len(some_rows) + len(columns) - len(some_columns))
        one: Polynomial = (1,)
        for a, b in product(some_rows, some_columns):
            one = times(one, power(a * b // gcd(a, b), gcd(a, b), most), most)
        for i, count in enumerate(one):
            total[i] += sign * count
    return tuple(total)


def parts(cycles: Cycles) -> list[Cycles]:
    """What is left of the cycles when some are taken away, in every way."""
    return [some for size in range(len(cycles) + 1) for some in combinations(cycles, size)]


def biases(cycles: Cycles, most: int) -> Polynomial:
    """Choices of units with a bias that an order leaves as they are."""
    result: Polynomial = (1,)
    for length in cycles:
        result = times(result, power(length, 1, most), most)
    return result


def networks(hidden: Sequence[int], most: int) -> Polynomial:
    """Networks of these widths by the number of weights and biases, up to `most`."""
    first, second, third = hidden
    inputs: Cycles = (1, 1)
    total = [0] * (most + 1)
    for one, two, three in product(*(partitions(width) for width in (first, second, third))):
        fixed: Polynomial = (*[0] * third, 1)  # All weights of the output.
        for factor in (
            matrices(one, inputs, most),
            matrices(two, one, most),
            matrices(three, two, most),
            *(biases(cycles, most) for cycles in (one, two, three, (1,))),
        ):
            fixed = times(fixed, factor, most)
        weight = prod(orders(cycles) for cycles in (one, two, three))
        for i, count in enumerate(fixed):
            total[i] += weight * count
    every = prod(factorial(width) for width in hidden)
    return tuple(count // every for count in total)


def all_widths(most: int) -> Iterator[tuple[int, int, int]]:
    """Hidden widths of networks of at most so many parameters.

    A layer has at least as many weights as it has units, and as the layer before has; inputs are 2.
    """
    for first, second, third in product(range(1, most + 1), repeat=3):
        if max(2, first) + max(first, second) + max(second, third) + third <= most:
            yield first, second, third


def counts(most: int) -> list[int]:
    """Networks of exactly 0, 1, ..., `most` weights and biases."""
    total = [0] * (most + 1)
    for hidden in all_widths(most):
        for i, count in enumerate(networks(hidden, most)):
            total[i] += count
    return total


def networks_of(most: int) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Widths and masks of all networks of at most so many parameters, `(networks, entries)` each.

    Every choice of biases of every choice of weights; of those that differ by the order of units,
    one.
    """
    for hidden in all_widths(most):
        widths = (2, *hidden, 1)
        units = sum(hidden) + 1
        space = ModelMasks(widths, symmetry="network", max_nonzeros=most + units)
        if not space.count:
            continue
        rows = space.take(range(space.count))
        places = torch.cat(
            [torch.full((prod(shape),), len(shape) == 1) for shape in space.shapes.values()]
        )
        weights = (rows & ~places).sum(1)
        found: list[Tensor] = []
        for chosen in product((False, True), repeat=units):
            fits = rows[weights + sum(chosen) <= most].clone()
            fits[:, places] = torch.tensor(chosen)
            found.append(fits)
        every = torch.cat(found)
        _, first = np.unique(signatures(unflatten(every, space.shapes)).numpy(), return_index=True)
        if len(first):
            yield widths, every[np.sort(first)]


def superfluous(masks: Masks) -> bool:
    """Whether what a network's classes can be, those of a smaller or another one can be, too.

    - Three units of the first layer have the same single input and no bias: two of them work on
      the same side of zero, and one stands for both.
    - Two units of a later layer have the same single input and no bias: that input is never
      negative, so each is a multiple of it or zero, and one stands for both.
    - A single unit of the third layer, and the output has a bias: the class is whether that unit's
      sum is above (or below) a number, which its own bias, with the signs of its weights, can have.
    - It has too few convex cells of one class for 95 %, whatever its weights: `most_cells`.
    """
    weights = [masks[f"layers.{layer}.weight"].numpy() for layer in range(4)]
    biases = [masks[f"layers.{layer}.bias"].numpy() for layer in range(4)]
    for layer in range(3):
        single = (weights[layer].sum(1) == 1) & ~biases[layer]
        alike = Counter(weights[layer][single].argmax(1).tolist())
        if max(alike.values(), default=0) > (2 if layer == 0 else 1):
            return True
    if len(weights[2]) == 1 and biases[3].any():
        return True
    return (
        most_cells({f"layers.{layer}.weight": each for layer, each in enumerate(weights)}) < CELLS
    )


def left(most: int) -> list[int]:
    """Networks of exactly 0, 1, ..., `most` parameters that are not superfluous."""
    result = [0] * (most + 1)
    for widths, rows in networks_of(most):
        masks = unflatten(rows, parameter_shapes(widths))
        for i, size in enumerate(rows.sum(1).tolist()):
            result[size] += not superfluous({name: mask[i] for name, mask in masks.items()})
    return result


def main() -> None:
    """Counts and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parameters", type=at_least_one)
    parser.add_argument("--written", type=int, default=13)
    parser.add_argument("--table", type=table_path, required=True)
    arguments = parser.parse_args()
    every, not_superfluous = counts(arguments.parameters), left(arguments.written)
    with arguments.table.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["parameters", "networks", "left"])
        writer.writerows(zip_longest(range(len(every)), every, not_superfluous, fillvalue=""))


if __name__ == "__main__":
    main()
