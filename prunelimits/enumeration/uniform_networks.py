"""Uniform draws among the networks up to hidden-unit permutation, without listing any."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import gcd, lcm
from random import Random

import numpy as np

from prunelimits.enumeration.burnside import (
    CycleType,
    FixedMasks,
    cycle_classes,
    identity_cycles,
)
from prunelimits.enumeration.eligible_counts import Used
from prunelimits.enumeration.eligible_tables import Bits


class UniformNetworks:
    """Draws of masks whose orbits under hidden-unit permutation are uniform (Dixon and Wilf).

    A permutation is drawn with probability proportional to the number of masks that it fixes, and
    then one of those masks uniformly. All orbits are equally likely: each has as many pairs of a
    mask and a permutation that fixes it as there are permutations.

    Args:
        widths: Inputs, hidden units of each layer, outputs.
        inputs: `"all"`: every input is used. `"any"`: inputs may be unused.
    """

    def __init__(self, widths: Sequence[int], inputs: Used = "all") -> None:
        self._widths = tuple(widths)
        # Layer by layer, which columns must have a one.
        self._used: list[Used] = ["all"] * (len(widths) - 1)
        self._used[0] = inputs
        fixed = FixedMasks()
        layers = [
            [(identity_cycles(widths[0]), 1)],
            *(list(cycle_classes(units)) for units in widths[1:-1]),
            [(identity_cycles(widths[-1]), 1)],
        ]
        ways = {cycles: 1 for cycles, _ in layers[-1]}
        self._first = layers[0][0][0]
        self._next: list[dict[CycleType, list[tuple[CycleType, int]]]] = []
        neighbours = zip(pairwise(layers), self._used, strict=True)
        for (below, above), used in reversed(list(neighbours)):
            choices = {
                columns: [
                    (rows, size * fixed.between(columns, rows, used) * ways[rows])
                    for rows, size in above
                ]
                for columns, _ in below
            }
            ways = {columns: sum(way for _, way in choices[columns]) for columns in choices}
            self._next.append(choices)
        self._next.reverse()

    def draw(self, n: int, random: Random) -> list[Bits]:
        """The flattened weight masks of `n` networks, each some mask of its orbit.

        Returns:
            For each layer, shape `(n, d_out * d_in)`.
        """
        weights = [
            np.empty((n, d_in * d_out), dtype=bool) for d_in, d_out in pairwise(self._widths)
        ]
        for network in range(n):
            cycles = self._first
            for of_layer, choices, used in zip(weights, self._next, self._used, strict=True):
                rows = _weighted_choice(choices[cycles], random)
                if used == "all":
                    mask = _fixed_mask(cycles, rows, random)
                else:
                    mask = _without_zero_columns(rows, cycles, random).T
                of_layer[network] = mask.ravel()
                cycles = rows
        return weights


def _weighted_choice(choices: list[tuple[CycleType, int]], random: Random) -> CycleType:
    """One of the cycle types, each with probability proportional to its integer weight."""
    target = random.randrange(sum(weight for _, weight in choices))
    ends = accumulate(weight for _, weight in choices)
    return next(cycles for (cycles, _), end in zip(choices, ends, strict=True) if target < end)


def _fixed_mask(columns: CycleType, rows: CycleType, random: Random) -> Bits:
    """A uniform mask without zero rows or columns that permutations in these cycles fix."""
    # By rejection: draw until no row and no column is zero. The columns' cycles are independent of
    # each other, so each can be drawn again by itself; a zero row means a whole new mask.
    # Zero lines are likelier on the side with more units, so that side must be the columns.
    if _units(rows) > _units(columns):
        return _fixed_mask(rows, columns, random).T
    while True:
        mask = _without_zero_columns(columns, rows, random)
        if mask.any(axis=1).all():
            return mask


def _without_zero_columns(columns: CycleType, rows: CycleType, random: Random) -> Bits:
    """A uniform mask without zero columns, whatever its rows, that such permutations fix."""
    mask = np.zeros((_units(rows), _units(columns)), dtype=bool)
    for start, length in _spans(columns):
        part = mask[:, start : start + length]
        while not part.any():
            for row, row_length in _spans(rows):
                for shift in range(gcd(length, row_length)):
                    steps = np.arange(lcm(length, row_length))
                    part[row + steps % row_length, (steps + shift) % length] = random.random() < 0.5
    return mask


def _units(cycles: CycleType) -> int:
    return sum(length * number for length, number in cycles)


def _spans(cycles: CycleType) -> list[tuple[int, int]]:
    """The cycles laid out one after the other: (first unit, length) of each."""
    lengths = [length for length, number in cycles for _ in range(number)]
    starts = np.cumsum([0, *lengths]).tolist()
    return list(zip(starts, lengths, strict=False))
