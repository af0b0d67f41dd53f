"""The paper's space of networks: all combinations of the weight matrices' eligible masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from prunelimits.arguments import shown
from prunelimits.enumeration.chains import Integers, Level
from prunelimits.enumeration.eligible import EligibleMasks
from prunelimits.enumeration.eligible_counts import MOST_ENTRIES, Used
from prunelimits.enumeration.eligible_ranks import Order
from prunelimits.enumeration.eligible_tables import Bits
from prunelimits.enumeration.lazy_sequence import number_dtype

MOST_WEIGHTS = 5000
"""The most weights of all layers: counting their networks by nonzeros then takes some seconds."""


class LayerProduct:
    """The product over the weight matrices of their eligible masks, as levels of cells.

    A matrix's cells are its masks with equal counts of ones; there is one state.

    Args:
        widths: Inputs, hidden units of each layer, outputs.
        first_per_count: Layer index -> n: only the first n masks of that layer for each count.
        inputs: `"all"`: every input is used. `"any"`: columns of the first layer may be zero.
        order: The order of each layer's masks.

    Raises:
        ValueError: If a layer has too many weights, or there are too many layers.
    """

    def __init__(
        self,
        widths: Sequence[int],
        first_per_count: Mapping[int, int],
        inputs: Used = "all",
        order: Order = "ascending",
    ) -> None:
        entries = [d_in * d_out for d_in, d_out in pairwise(widths)]
        # Each count of ones in a layer meets each count in the layers after it.
        if max(entries) > MOST_ENTRIES or sum(entries) > MOST_WEIGHTS:
            raise ValueError(
                f"widths must have at most {MOST_ENTRIES} weights in a layer, and {MOST_WEIGHTS} "
                f"in all, for their masks to be listed, got {shown(tuple(widths))}"
            )
        # Layers of one shape share a space, and so its tables.
        every = [
            EligibleMasks(d_in, d_out, columns="all" if layer else inputs, order=order)
            for layer, (d_in, d_out) in enumerate(pairwise(widths))
        ]
        spaces = {space: space for space in every}
        self._spaces = [spaces[space] for space in every]
        self.levels: list[Level] = []
        self._starts: list[list[int]] = []
        for layer, space in enumerate(self._spaces):
            by_ones = space.counts_by_nonzeros()
            starts = [0, *accumulate(by_ones.values())][:-1]
            sizes = list(by_ones.values())
            if layer in first_per_count:
                sizes = [min(size, first_per_count[layer]) for size in sizes]
            same_state = [0] * len(sizes)
            self.levels.append(Level(same_state, list(by_ones), same_state, sizes))
            self._starts.append(starts)

    def weight_bits(
        self, cells: Sequence[Integers], positions: Sequence[NDArray[Any]]
    ) -> list[Bits]:
        """The weight masks, flattened, of the networks at these cells and positions."""
        return [
            space.bits(np.array(starts, dtype=number_dtype(space.count))[cell] + position)
            for space, starts, cell, position in zip(
                self._spaces, self._starts, cells, positions, strict=True
            )
        ]

    def locate(self, weights: Sequence[Bits]) -> tuple[list[Integers], list[NDArray[Any]]]:
        """The cells and positions of flattened weight masks, the inverse of `weight_bits`.

        Raises:
            ValueError: If a mask is not in its layer's list, saying why.
        """
        cells: list[Integers] = []
        positions: list[NDArray[Any]] = []
        for layer, (space, bits) in enumerate(zip(self._spaces, weights, strict=True)):
            distinct, inverse = np.unique(bits, axis=0, return_inverse=True)
            ones = list(space.counts_by_nonzeros())
            cell = np.empty(len(distinct), dtype=np.int64)
            position = np.empty(len(distinct), dtype=object)
            for index, row in enumerate(distinct):
                mask = torch.from_numpy(row).reshape(space.shape)
                try:
                    rank = space.rank(mask)
                except ValueError as error:
                    raise ValueError(f"layers.{layer}.weight: {error}") from error
                cell[index] = ones.index(int(row.sum()))
                position[index] = rank - self._starts[layer][cell[index]]
                size = self.levels[layer].size[cell[index]]
                if position[index] >= size:
                    raise ValueError(
                        f"layers.{layer}.weight is mask {position[index]} of its number of "
                        f"nonzeros, beyond the first {size}"
                    )
            inverse = inverse.reshape(-1)
            cells.append(cell[inverse])
            positions.append(position[inverse])
        return cells, positions
