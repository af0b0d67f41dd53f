"""Sequences too long to hold in memory: every element is computed from its rank."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.arguments import (
    checked_instance,
    checked_integer,
    checked_integers,
    checked_tensor,
    shown,
)

Element = TypeVar("Element")

Ranks: TypeAlias = Sequence[int] | range | NDArray[Any] | Tensor
"""Ranks as callers give them: integers, a range, or a one-dimensional array or tensor of them."""

LARGEST_CHUNK = 4096
"""Elements computed together when a space is iterated over."""


def number_dtype(count: int) -> type[np.int64] | type[object]:
    """`int64` where ranks below `count` fit in it, `object` (Python integers) otherwise."""
    return np.int64 if count < 2**63 else object


def range_count(ranks: range) -> int:
    """`len(ranks)`, also where it exceeds what `len` can return."""
    start, stop, step = ranks.start, ranks.stop, ranks.step
    return max(0, (stop - start + step - (1 if step > 0 else -1)) // step)


def as_rank_array(ranks: Ranks, count: int) -> NDArray[Any]:
    """`ranks` as an array of shape `(len(ranks),)`, of dtype `number_dtype(count)`.

    Raises:
        TypeError: If a rank is not an integer, or a tensor of them is not one-dimensional.
        IndexError: If a rank lies outside 0 to `count - 1`.
    """
    dtype = number_dtype(count)
    if isinstance(ranks, Tensor):
        checked_tensor("ranks", ranks)
        if ranks.dim() != 1 or ranks.is_floating_point() or ranks.dtype == torch.bool:
            raise TypeError(
                "ranks must be a one-dimensional integer tensor, "
                f"got shape {tuple(ranks.shape)} of {ranks.dtype}"
            )
        integers = ranks.cpu().numpy()
        _check_ends(integers, count)
        array = integers.astype(dtype)
    elif isinstance(ranks, range):
        ends = (ranks[0], ranks[-1]) if ranks else ()
        _check_range(ends, count)
        if dtype is np.int64:
            return np.arange(ranks.start, ranks.start + len(ranks) * ranks.step, ranks.step)
        array = np.array(ranks, dtype=object)
    elif isinstance(ranks, np.ndarray) and ranks.ndim == 1 and ranks.dtype.kind in "iu":
        _check_ends(ranks, count)
        array = ranks.astype(dtype)
    else:
        # Plain ints, the usual case, need no check one by one.
        plain = isinstance(ranks, list | tuple) and all(type(rank) is int for rank in ranks)
        integers = ranks if plain else checked_integers("ranks", ranks)
        _check_range((min(integers), max(integers)) if integers else (), count)
        array = np.array(integers, dtype=dtype)
    return array


def _check_ends(ranks: NDArray[Any], count: int) -> None:
    if len(ranks):
        _check_range((int(ranks.min()), int(ranks.max())), count)


def _check_range(ranks: Sequence[int], count: int) -> None:
    for rank in ranks:
        if not 0 <= rank < count:
            raise IndexError(f"ranks must lie in 0 to {count - 1}, got {rank}")


class LazySequence(Sequence[Element]):
    """A sequence given by three methods: `count`, `elements` at given ranks, and `rank` of one.

    Every element occurs once, so `count` is the number of elements and not, as in a list, a method
    that counts occurrences.
    """

    @property
    @abstractmethod
    def count(self) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The number of elements, exact however large."""

    @abstractmethod
    def elements(self, ranks: range) -> Iterator[Element]:
        """The elements at `ranks`, all within 0 to `count - 1`."""

    @abstractmethod
    def rank(self, value: object) -> int:
        """The position of `value`: `space.rank(space[i]) == i`.

        Raises:
            ValueError: If `value` is not an element, saying why.
            TypeError: If it is not of the elements' type.
        """

    def __len__(self) -> int:
        if self.count > sys.maxsize:
            raise OverflowError(f"len() cannot return {self.count}; use .count")
        return self.count

    @overload
    def __getitem__(self, index: int) -> Element: ...
    @overload
    def __getitem__(self, index: slice) -> SequenceSlice[Element]: ...
    def __getitem__(self, index: int | slice) -> Element | SequenceSlice[Element]:
        if isinstance(index, slice):
            return SequenceSlice(self, range(self.count)[index])
        position = checked_integer("index", index)
        rank = position + self.count if position < 0 else position
        if not 0 <= rank < self.count:
            raise IndexError(
                f"index {shown(position)} is out of range for {shown(self.count)} elements"
            )
        return next(self.elements(range(rank, rank + 1)))

    def __iter__(self) -> Iterator[Element]:
        # Chunks start at one element, so the first comes at once even where each is costly.
        start, size = 0, 1
        while start < self.count:
            stop = min(start + size, self.count)
            yield from self.elements(range(start, stop))
            start, size = stop, min(2 * size, LARGEST_CHUNK)

    def __contains__(self, value: object) -> bool:
        try:
            self.rank(value)
        except (ValueError, TypeError):
            return False
        return True

    def index(self, value: object, start: int = 0, stop: int | None = None) -> int:
        """The rank of `value`, which must lie in `range(count)[start:stop]`.

        Raises:
            ValueError: If `value` is not an element or lies outside `start` to `stop`.
            TypeError: If it is not of the elements' type, or `start` or `stop` is not an integer.
        """
        checked_integer("start", start)
        if stop is not None:
            checked_integer("stop", stop)
        rank = self.rank(value)
        if rank not in range(self.count)[start:stop]:
            raise ValueError(
                f"value has rank {shown(rank)}, not from start {shown(start)} to stop {shown(stop)}"
            )
        return rank

    def __bool__(self) -> bool:
        return self.count > 0


class SequenceSlice(LazySequence[Element]):
    """What slicing a lazy sequence gives: a view that computes its elements on demand.

    Attributes:
        source: The sequence that was sliced.
        ranks: The ranks in `source` of the view's elements.

    Raises:
        TypeError: If `source` is no such sequence, or `ranks` no range.
        IndexError: If a rank lies outside 0 to `source.count - 1`.
    """

    def __init__(self, source: LazySequence[Element], ranks: range) -> None:
        self.source = checked_instance("source", source, LazySequence, "a lazy sequence")
        self.ranks = checked_instance("ranks", ranks, range, "a range")
        if range_count(ranks):
            _check_range((ranks[0], ranks[-1]), source.count)

    @property
    def count(self) -> int:
        """The number of elements, exact however large."""
        return range_count(self.ranks)

    def elements(self, ranks: range) -> Iterator[Element]:
        """The elements at `ranks`, positions in this view."""
        return self.source.elements(self.ranks[ranks.start : ranks.stop])

    def rank(self, value: object) -> int:
        """The position of `value` in this view."""
        rank = self.source.rank(value)
        if rank not in self.ranks:
            raise ValueError(f"element {rank} of {self.source!r} is not in this slice")
        return (rank - self.ranks.start) // self.ranks.step

    @overload
    def __getitem__(self, index: int) -> Element: ...
    @overload
    def __getitem__(self, index: slice) -> SequenceSlice[Element]: ...
    def __getitem__(self, index: int | slice) -> Element | SequenceSlice[Element]:
        if isinstance(index, slice):
            return SequenceSlice(self.source, self.ranks[index])
        return super().__getitem__(index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SequenceSlice):
            return NotImplemented
        return self.source == other.source and self.ranks == other.ranks

    def __hash__(self) -> int:
        return hash((self.source, self.ranks))

    def __repr__(self) -> str:
        start, stop, step = self.ranks.start, self.ranks.stop, self.ranks.step
        return f"SequenceSlice({self.source!r}, range({start}, {stop}, {step}))"
