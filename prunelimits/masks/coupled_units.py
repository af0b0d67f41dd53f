"""Units of a model, each with everything that is kept or cut together with it: a plain value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

import torch
from torch import Tensor

from prunelimits.arguments import (
    checked_instance,
    checked_integer,
    checked_integers,
    checked_items,
    checked_tensor,
    checked_text,
    shown,
)
from prunelimits.masks.checks import check_bools
from prunelimits.types import Masks


@dataclass(frozen=True)
class UnitSlices:
    """Where units lie in a parameter: index i along an axis is of unit `units[i]`; -1: of none.

    Attributes:
        parameter: The parameter's name.
        axis: The axis along which units lie, all of the other axes with them.
        units: One entry an index, `(size of the axis,)`.
    """

    parameter: str
    axis: int
    units: tuple[int, ...]

    def __post_init__(self) -> None:
        checked_text("parameter", self.parameter, absent=False)
        object.__setattr__(self, "axis", checked_integer("axis", self.axis, 0))
        object.__setattr__(self, "units", tuple(checked_integers("units", self.units, -1)))


@dataclass(frozen=True)
class UnitGroup:
    """Units that stand side by side: channels of tied layers, hidden units, heads of attention.

    Attributes:
        name: What it is called: after the first layer that gives these units.
        size: How many units there are.
        slices: All that goes with them: first the weights that give them, then biases and
            normalisations, then the weights that read them.
    """

    name: str
    size: int
    slices: tuple[UnitSlices, ...]

    def __post_init__(self) -> None:
        checked_text("name", self.name, absent=False)
        object.__setattr__(self, "size", checked_integer("size", self.size, 1))
        slices = checked_items("slices", self.slices, UnitSlices)
        object.__setattr__(self, "slices", tuple(slices))


@dataclass(frozen=True)
class CoupledUnits:
    """The units of a model that can be cut, with everything that goes with each of them.

    `connectivity.coupled_units` finds them; `str` shows them as a table. A weight's mask is what is
    left along each of its axes: an entry is kept where all units that it belongs to are.

    Attributes:
        groups: The units, group by group; each keeps at least one unit.
        shapes: The shape of every parameter in a group, by name.
        whole: Why other layers stay whole, by path.
        digest: Of the groups: equal values are equal.

    Raises:
        ValueError: If a slice does not fit the shape of its parameter, or names no unit.

    Examples:
        >>> units = CoupledUnits(
        ...     (UnitGroup("0", 2, (UnitSlices("0.weight", 0, (0, 1)),
        ...                         UnitSlices("2.weight", 1, (0, 1)))),),
        ...     {"0.weight": (2, 3), "2.weight": (1, 2)},
        ... )
        >>> masks = units.masks({"0": torch.tensor([True, False])})
        >>> masks["2.weight"].tolist(), int(masks["0.weight"].sum())
        ([[True, False]], 3)
    """

    groups: tuple[UnitGroup, ...] = field(repr=False, compare=False)
    shapes: Mapping[str, tuple[int, ...]] = field(repr=False, compare=False)
    whole: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, compare=False)
    digest: str = field(init=False, default="")

    def __post_init__(self) -> None:
        groups = tuple(checked_items("groups", self.groups, UnitGroup))
        object.__setattr__(self, "groups", groups)
        checked_instance("shapes", self.shapes, Mapping, "shapes by name")
        shapes = {
            name: tuple(checked_integers(f"shapes[{name!r}]", shape, 1))
            for name, shape in self.shapes.items()
        }
        object.__setattr__(self, "shapes", shapes)
        checked_instance("whole", self.whole, Mapping, "reasons by path")
        for group in groups:
            for part in group.slices:
                self._check(group, part)
        names = [group.name for group in self.groups]
        if len(set(names)) < len(names):
            raise ValueError(f"groups must have different names, got {shown(names)}")
        told = repr((self.groups, sorted(self.shapes.items())))
        object.__setattr__(self, "digest", blake2b(told.encode(), digest_size=8).hexdigest())

    def _check(self, group: UnitGroup, part: UnitSlices) -> None:
        what = f"groups[{group.name!r}]"
        shape = self.shapes.get(part.parameter)
        if shape is None:
            raise ValueError(f"shapes must have {part.parameter!r}, which {what} names")
        checked_integer(f"{what}: axis of {part.parameter!r}", part.axis, 0, len(shape) - 1)
        if len(part.units) != shape[part.axis]:
            raise ValueError(
                f"{what} must have {shape[part.axis]} units along axis {part.axis} of "
                f"{part.parameter!r}, got {len(part.units)}"
            )
        if not all(-1 <= unit < group.size for unit in part.units):
            raise ValueError(f"{what} must have units from -1 to {group.size - 1}")

    def masks(self, kept: Mapping[str, Tensor]) -> Masks:
        """The masks of every parameter in a group, from the units that are kept.

        Args:
            kept: Name of a group -> bool `(units,)`; a group that is absent is whole.

        Raises:
            ValueError: If a name is no group, or a tensor has another length.
            TypeError: If one is no bool tensor.
        """
        checked_instance("kept", kept, Mapping, "the units kept, by group")
        sizes = {group.name: group.size for group in self.groups}
        for name, units in kept.items():
            if name not in sizes:
                raise ValueError(f"kept names {name!r}, which is no group: {', '.join(sizes)}")
            checked_tensor(f"kept[{name!r}]", units)
            if units.dtype != torch.bool:
                raise TypeError(f"kept[{name!r}] must be a bool tensor, got {units.dtype}")
            if units.shape != (sizes[name],):
                raise ValueError(
                    f"kept[{name!r}] must have shape ({sizes[name]},), got {tuple(units.shape)}"
                )
        result: Masks = {}
        for group in self.groups:
            units = kept.get(group.name)
            for part in group.slices:
                shape = self.shapes[part.parameter]
                if part.parameter not in result:
                    device = None if units is None else units.device
                    result[part.parameter] = torch.ones(shape, dtype=torch.bool, device=device)
                if units is not None:
                    along = along_axis(part, units, len(shape))
                    result[part.parameter] = result[part.parameter] & along
        return result

    def kept(self, masks: Masks) -> dict[str, Tensor]:
        """The units of which every mask keeps something, by group: bool `(units,)`.

        Args:
            masks: Name -> bool tensor; a parameter without a mask is whole.

        Raises:
            ValueError: If a mask has another shape than its parameter.
            TypeError: If one is no bool tensor.
        """
        check_bools(masks)
        for name, shape in self.shapes.items():
            if name in masks and tuple(masks[name].shape) != tuple(shape):
                raise ValueError(
                    f"masks[{name!r}] must have shape {shape}, got {tuple(masks[name].shape)}"
                )
        return {group.name: kept_units(group, masks) for group in self.groups}

    def complete(self, masks: Masks) -> Masks:
        """The masks, and with them those of biases and normalisations that go with the units.

        What `prune` gives are weights; the rest of a unit that is gone does nothing, and these
        masks make it zero.

        Args:
            masks: Name -> bool tensor.

        Raises:
            ValueError: As `kept` does.
            TypeError: As `kept` does.
        """
        found = self.masks(self.kept(masks))
        return {**masks, **{name: mask for name, mask in found.items() if name not in masks}}

    def __str__(self) -> str:
        width = max([len(group.name) for group in self.groups] + [len("units of")])
        lines = [f"{'units of':<{width}}  {'units':>6}  with"]
        for group in self.groups:
            parts = [f"{part.parameter}[{part.axis}]" for part in group.slices]
            more = f" and {len(parts) - 4} more" if len(parts) > 4 else ""
            lines.append(f"{group.name:<{width}}  {group.size:>6}  {', '.join(parts[:4])}{more}")
        lines += [f"{path:<{width}}  {'whole':>6}  {why}" for path, why in self.whole.items()]
        return "\n".join(lines)


def along_axis(part: UnitSlices, units: Tensor, axes: int) -> Tensor:
    """What units say of the indices of an axis, ready to be spread: True where it is none's."""
    index = torch.tensor(part.units, device=units.device)
    kept = torch.cat([units, units.new_ones(1)])[index]  # -1 is the last
    lengths = [1] * axes
    lengths[part.axis] = -1
    return kept.reshape(lengths)


def kept_units(group: UnitGroup, masks: Masks) -> Tensor:
    """The units of a group of which every mask keeps something, bool `(units,)`."""
    kept: Tensor | None = None
    for part in group.slices:
        mask = masks.get(part.parameter)
        if mask is None:
            continue
        index = torch.tensor(part.units, device=mask.device)
        lines = mask.movedim(part.axis, 0).flatten(1).any(1) if mask.dim() > 1 else mask
        # The last is for what belongs to no unit.
        hits = torch.zeros(group.size + 1, dtype=torch.int64, device=mask.device)
        hits = hits.index_add(0, index % (group.size + 1), lines.long())
        own = torch.zeros(group.size + 1, dtype=torch.bool, device=mask.device)
        own[index] = True
        units = ((hits > 0) | ~own)[: group.size]
        kept = units if kept is None else kept & units
    return torch.ones(group.size, dtype=torch.bool, device="cpu") if kept is None else kept
