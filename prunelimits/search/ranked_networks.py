"""The networks of a phase by rank, in batches: what the descriptions in `spaces` stand for."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from prunelimits.arguments import shown
from prunelimits.enumeration import ModelMasks
from prunelimits.enumeration.lazy_sequence import number_dtype
from prunelimits.masks import unflatten
from prunelimits.models import parameter_shapes
from prunelimits.randomness import derive

# Phase one holds all its widths in memory; ten million of them take about 300 MB.
_MOST_WIDTHS = 10_000_000


class AbstractSpace(ABC):
    """Networks in a fixed order, by ascending nonzeros. A rank is a position in it, from 0."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many networks."""

    @abstractmethod
    def nonzeros(self, ranks: Sequence[int]) -> Tensor:
        """Weights and biases of the networks at `ranks`, int64 `(len(ranks),)`."""

    @abstractmethod
    def widths(self, rank: int) -> tuple[int, ...]:
        """Inputs, hidden units, outputs of one network."""

    @abstractmethod
    def batch(self, ranks: Sequence[int]) -> tuple[tuple[int, ...], Tensor]:
        """Widths that hold all the networks at `ranks`, and their masks within these.

        Returns:
            The widths, and bool `(len(ranks), parameters)` in the order of `parameter_shapes`.
        """

    @abstractmethod
    def keys(self, ranks: Sequence[int]) -> NDArray[np.int64]:
        """A hash of each network itself, not of its rank: int64 `(len(ranks),)`."""


class WidthSpace(AbstractSpace):
    """Phase one: all networks of 1 to `width` units in every hidden layer, fully connected.

    Those with more than `max_nonzeros` weights and biases are left out.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        hidden_layers: int,
        width: int,
        max_nonzeros: int | None = None,
    ) -> None:
        if width**hidden_layers > _MOST_WIDTHS:
            raise ValueError(
                f"width and hidden_layers must give at most {_MOST_WIDTHS:,} choices of widths, "
                f"got width {shown(width)} in each of {hidden_layers} layers"
            )
        hidden = itertools.product(range(1, width + 1), repeat=hidden_layers)
        table = np.array([(inputs, *units, outputs) for units in hidden], dtype=np.int64)
        nonzeros = (table[:, 1:] * (table[:, :-1] + 1)).sum(1)
        if max_nonzeros is not None:
            small = nonzeros <= max_nonzeros
            table, nonzeros = table[small], nonzeros[small]
        # A stable sort: widths of the same size stay in lexicographic order.
        order = np.argsort(nonzeros, kind="stable")
        self._widths, self._nonzeros = table[order], nonzeros[order]

    @property
    @override
    def count(self) -> int:
        return len(self._widths)

    @override
    def nonzeros(self, ranks: Sequence[int]) -> Tensor:
        return torch.from_numpy(self._nonzeros[list(ranks)])

    @override
    def widths(self, rank: int) -> tuple[int, ...]:
        return tuple(self._widths[rank].tolist())

    @override
    def batch(self, ranks: Sequence[int]) -> tuple[tuple[int, ...], Tensor]:
        own = torch.from_numpy(self._widths[list(ranks)])
        widest = tuple(own.max(0).values.tolist())
        live = [torch.arange(d, device="cpu") < own[:, [layer]] for layer, d in enumerate(widest)]
        parts: list[Tensor] = []
        for before, after in itertools.pairwise(live):
            parts += [(after[:, :, None] & before[:, None, :]).flatten(1), after]
        return widest, torch.cat(parts, dim=1)

    @override
    def keys(self, ranks: Sequence[int]) -> NDArray[np.int64]:
        return derive(0, *self._widths[list(ranks)].T).view(np.int64)


class MaskSpace(AbstractSpace):
    """Phase two: the masks of one choice of widths."""

    def __init__(self, masks: ModelMasks) -> None:
        self.masks = masks

    @property
    @override
    def count(self) -> int:
        return self.masks.count

    @override
    def nonzeros(self, ranks: Sequence[int]) -> Tensor:
        return self.masks.nonzeros(ranks)

    @override
    def widths(self, rank: int) -> tuple[int, ...]:
        return self.masks.widths

    @override
    def batch(self, ranks: Sequence[int]) -> tuple[tuple[int, ...], Tensor]:
        return self.masks.widths, self.masks.take(ranks)

    @override
    def keys(self, ranks: Sequence[int]) -> NDArray[np.int64]:
        packed = np.packbits(self.masks.take(ranks).numpy(), axis=1)
        words = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.int64)
        return derive(0, *self.masks.widths, *words.T).view(np.int64)


class FamilySpace(AbstractSpace):
    """Phase two over several widths at once: all their masks, smallest networks first."""

    def __init__(self, spaces: Sequence[ModelMasks]) -> None:
        self._spaces = list(spaces)
        # A cell is the networks of one size and one choice of widths. Their ranks are
        # consecutive, here and in the space of those widths.
        cells = [
            (size, which, number)
            for which, space in enumerate(self._spaces)
            for size, number in space.counts_by_nonzeros().items()
        ]
        # Within a size, neighbouring widths are alike, so that batches hold little padding.
        cells.sort(key=lambda cell: (cell[0], self._spaces[cell[1]].widths))
        numbers = [number for _, _, number in cells]
        self._dtype = number_dtype(sum(numbers))
        self._sizes = np.array([size for size, _, _ in cells], dtype=np.int64)
        self._which = np.array([which for _, which, _ in cells], dtype=np.int64)
        self._starts = np.array([0, *itertools.accumulate(numbers)], dtype=self._dtype)
        # Where each cell starts in the space of its widths, whose ranks ascend with size too.
        begun = [0] * len(self._spaces)
        inside: list[int] = []
        for _, which, number in cells:
            inside.append(begun[which])
            begun[which] += number
        self._inside = np.array(inside, dtype=self._dtype)

    @property
    @override
    def count(self) -> int:
        return int(self._starts[-1])

    @override
    def nonzeros(self, ranks: Sequence[int]) -> Tensor:
        return torch.from_numpy(self._sizes[self._cells(ranks)])

    @override
    def widths(self, rank: int) -> tuple[int, ...]:
        return self._spaces[self._which[self._cells([rank])[0]]].widths

    @override
    def batch(self, ranks: Sequence[int]) -> tuple[tuple[int, ...], Tensor]:
        parts = list(self._parts(ranks))
        widest = tuple(
            max(column) for column in zip(*(space.widths for _, space, _ in parts), strict=True)
        )
        shapes = parameter_shapes(widest)
        result = {
            name: torch.zeros(len(ranks), *shape, dtype=torch.bool, device="cpu")
            for name, shape in shapes.items()
        }
        for places, space, inside in parts:
            for name, mask in unflatten(space.take(inside), space.shapes).items():
                block = tuple(slice(size) for size in space.shapes[name])
                result[name][(torch.from_numpy(places), *block)] = mask
        return widest, torch.cat([mask.flatten(1) for mask in result.values()], dim=1)

    @override
    def keys(self, ranks: Sequence[int]) -> NDArray[np.int64]:
        result = np.empty(len(ranks), dtype=np.int64)
        for places, space, inside in self._parts(ranks):
            result[places] = MaskSpace(space).keys(inside)
        return result

    def _cells(self, ranks: Sequence[int]) -> NDArray[np.int64]:
        return np.searchsorted(self._starts, self._array(ranks), side="right") - 1

    def _array(self, ranks: Sequence[int]) -> NDArray[Any]:
        return np.array(list(ranks), dtype=self._dtype)

    def _parts(
        self, ranks: Sequence[int]
    ) -> Iterator[tuple[NDArray[np.int64], ModelMasks, list[int]]]:
        """For each choice of widths: its places among `ranks`, its space, and the ranks there."""
        cells = self._cells(ranks)
        inside = self._array(ranks) - self._starts[cells] + self._inside[cells]
        which = self._which[cells]
        for space in np.unique(which):
            places = np.flatnonzero(which == space)
            yield places, self._spaces[space], inside[places].tolist()
