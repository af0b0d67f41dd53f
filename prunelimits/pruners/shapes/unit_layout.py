"""Where units lie in the weights that are pruned, as tensors: sums over units, masks of units.

A weight is kept where the units of all of its axes are, so what is left of it is the product of
what is left along its axes, and numbers of weights need no masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

from prunelimits.masks import CoupledUnits, UnitGroup, top
from prunelimits.types import Masks


def layout_of(coupled: CoupledUnits, weights: Mapping[str, Tensor]) -> Layout:
    """The layout of those units all of whose weights may be pruned."""
    device = next(iter(weights.values())).device
    shapes = tuple((name, tuple(value.shape)) for name, value in weights.items())
    return _layout(coupled, shapes, device)


@lru_cache(maxsize=16)
def _layout(
    coupled: CoupledUnits, shapes: tuple[tuple[str, tuple[int, ...]], ...], device: torch.device
) -> Layout:
    return Layout(coupled, dict(shapes), device)


class Layout:
    """The units that can be cut, one behind the other, and where they lie.

    Attributes:
        names: The names of the groups.
        sizes: How many units each has.
        firsts: The weight that gives the units of each group, the first of them.
    """

    def __init__(
        self, coupled: CoupledUnits, shapes: Mapping[str, tuple[int, ...]], device: torch.device
    ) -> None:
        def free(group: UnitGroup) -> bool:
            # A matrix that is left alone keeps its units; biases go along, pruned or not.
            return any(part.parameter in shapes for part in group.slices) and all(
                part.parameter in shapes or len(coupled.shapes[part.parameter]) < 2
                for part in group.slices
            )

        groups = [group for group in coupled.groups if free(group)]
        self.names = [group.name for group in groups]
        self.sizes = [group.size for group in groups]
        self.firsts = [
            next(part.parameter for part in group.slices if part.parameter in shapes)
            for group in groups
        ]
        self.total = sum(self.sizes)
        self._shapes = dict(shapes)
        self._device = device
        starts = [sum(self.sizes[:place]) for place in range(len(groups))]
        # Of each weight and axis: the unit of each index, `total` where there is none.
        self._units: dict[str, dict[int, Tensor]] = {}
        for group, start in zip(groups, starts, strict=True):
            for part in group.slices:
                if part.parameter not in shapes:
                    continue
                own = torch.tensor(part.units, device=device)
                axes = self._units.setdefault(part.parameter, {})
                before = axes.get(part.axis, torch.full_like(own, self.total))
                axes[part.axis] = torch.where(own >= 0, own + start, before)
        group_of = [place for place, size in enumerate(self.sizes) for _ in range(size)]
        self._group_of = torch.tensor(group_of, device=device)

    def holds(self, name: str) -> bool:
        """Whether a weight has units."""
        return name in self._units

    def split(self, units: Tensor) -> list[Tensor]:
        """Group by group."""
        return list(units.split(self.sizes))

    def places(self, groups: Sequence[Sequence[str]] | None) -> list[list[int]]:
        """The groups that are ranked together, for each set of weights; None: each by itself."""
        if groups is None:
            return [[place] for place in range(len(self.sizes))]
        return [[p for p, first in enumerate(self.firsts) if first in own] for own in groups]

    def sums(self, values: Mapping[str, Tensor]) -> Tensor:
        """The sum over all entries of each unit, `(units,)`."""
        result: Tensor | None = None
        for name, axes in self._units.items():
            for axis, units in axes.items():
                lines = values[name].movedim(axis, 0)
                lines = lines.flatten(1).sum(1) if lines.dim() > 1 else lines
                start = torch.zeros(self.total + 1, dtype=lines.dtype, device=self._device)
                found = start.index_add(0, units, lines)
                result = found if result is None else result + found
        assert result is not None
        return result[: self.total]

    def any(self, masks: Masks) -> Tensor:
        """Whether a mask keeps an entry of each unit, bool `(units,)`."""
        return self.sums({name: masks[name].long() for name in self._units}) > 0

    def alive(self, masks: Masks) -> Tensor:
        """Whether every axis that a unit lies in keeps some of it, bool `(units,)`."""
        result = torch.ones(self.total, dtype=torch.bool, device=self._device)
        for name, axes in self._units.items():
            for axis, units in axes.items():
                lines = masks[name].movedim(axis, 0)
                lines = lines.flatten(1).any(1) if lines.dim() > 1 else lines
                zeros = torch.zeros(self.total + 1, dtype=torch.int64, device=self._device)
                here = zeros.index_add(0, units, torch.ones_like(units))[: self.total] > 0
                found = zeros.index_add(0, units, lines.long())[: self.total] > 0
                result = result & (found | ~here)
        return result

    def masks(self, kept: Tensor, allowed: Masks) -> Masks:
        """What of the weights allowed is left with these units."""
        padded = torch.cat([kept, kept.new_ones(1)])
        result: Masks = {}
        for name, mask in allowed.items():
            for axis, units in self._units.get(name, {}).items():
                lengths = [1] * mask.dim()
                lengths[axis] = -1
                mask = mask & padded[units].reshape(lengths)
            result[name] = mask
        return result

    def weights(self, left: Sequence[int]) -> int:
        """How many weights are left with so many units of each group, whichever they are.

        Units of a group hold as much as each other on average where they differ.
        """
        return sum(self._size(name, left) for name in self._shapes)

    def _length(self, name: str, axis: int, length: int, left: Sequence[int]) -> int:
        units = self._units.get(name, {}).get(axis)
        if units is None:
            return length
        owners = self._group_of.new_full((self.total + 1,), -1)
        owners[: self.total] = self._group_of
        held = owners[units]
        number = int((held < 0).sum())
        for place, size in enumerate(self.sizes):
            own = int((held == place).sum())
            number += own * left[place] // size
        return number

    def least(self, left: Sequence[int], floor: int) -> list[int]:
        """The fewest units of each group with which every layer has `floor` weights, if it can."""
        least = [min(1, size) for size in left]
        for name, axes in self._units.items():
            places = sorted({place for axis in axes for place in self._groups_at(name, axis)})
            while self._size(name, least) < floor:
                room = [place for place in places if least[place] < left[place]]
                if not room:
                    break
                # The group of which the smallest share is there.
                least[min(room, key=lambda p: Fraction(least[p], left[p]))] += 1
        return least

    def _size(self, name: str, left: Sequence[int]) -> int:
        size = 1
        for axis, length in enumerate(self._shapes[name]):
            size *= self._length(name, axis, length, left)
        return size

    def _groups_at(self, name: str, axis: int) -> list[int]:
        units = self._units[name][axis]
        return self._group_of[units[units < self.total]].unique().tolist()

    def top(self, worth: Tensor, places: Sequence[int], number: Tensor) -> Tensor:
        """The best units of some groups, bool `(units,)`."""
        chosen = worth.masked_fill(~self._inside(places), -torch.inf)
        return top({"units": chosen}, number)["units"]

    def replaced(self, kept: Tensor, places: Sequence[int], units: Tensor) -> Tensor:
        """`kept`, with others for some groups."""
        return torch.where(self._inside(places), units, kept)

    def _inside(self, places: Sequence[int]) -> Tensor:
        """Which units are of some groups, bool `(units,)`."""
        inside = torch.zeros(len(self.sizes), dtype=torch.bool, device=self._device)
        inside[list(places)] = True
        return inside[self._group_of]

    def best(self, worth: Tensor, allowed: Masks, keep: Tensor) -> Tensor:
        """The units worth most, as many as leave at most `keep` weights, and all of infinite worth.

        Bool `(units,)`; ties go to the lower unit.
        """
        order = worth.sort(descending=True, stable=True).indices
        numbers = torch.arange(self.total, device=self._device)
        place = torch.zeros_like(order).scatter(0, order, numbers)
        left = self._weights_of_first(place, worth > -torch.inf, allowed)
        must = (worth == torch.inf).sum()
        fitting = (left <= keep).sum() - 1  # of 0, 1, 2, ... units; more of them leave more
        return (place < fitting.maximum(must)) & (worth > -torch.inf)

    def _weights_of_first(self, place: Tensor, alive: Tensor, allowed: Masks) -> Tensor:
        """How many weights are left with the first 0, 1, 2, ... units, int64 `(units + 1,)`."""
        total = torch.zeros(self.total + 1, dtype=torch.int64, device=self._device)
        padded = torch.cat([place + 1, place.new_zeros(1)])  # what belongs to no unit is there
        living = torch.cat([alive, alive.new_ones(1)])
        for name, mask in allowed.items():
            axes = self._units.get(name)
            if axes is None:
                total = total + mask.sum()
                continue
            size: Tensor | int = 1
            for axis, length in enumerate(mask.shape):
                if axis not in axes:
                    size = size * length
                    continue
                zeros = torch.zeros(self.total + 1, dtype=torch.int64, device=self._device)
                units = axes[axis]
                size = size * zeros.index_add(0, padded[units], living[units].long()).cumsum(0)
            total = total + size
        return total
