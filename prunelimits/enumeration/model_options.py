"""Which masks a space of whole networks has, and in which order: the arguments of `ModelMasks`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from prunelimits.arguments import checked_choice, checked_integer, shown
from prunelimits.enumeration.eligible_counts import Used
from prunelimits.enumeration.eligible_ranks import Order

Symmetry: TypeAlias = Literal["layer", "network"]


@dataclass(frozen=True)
class ModelOptions:
    """The arguments of `ModelMasks`, checked; equal where the spaces are."""

    widths: tuple[int, ...]
    symmetry: Symmetry = "layer"
    min_nonzeros: int | None = None
    max_nonzeros: int | None = None
    inputs: Used = "all"
    first_per_count: Mapping[int, int] | None = field(default=None, hash=False)
    order: Order = "ascending"

    def __post_init__(self) -> None:
        checked_choice("symmetry", self.symmetry, get_args(Symmetry))
        checked_choice("inputs", self.inputs, get_args(Used))
        checked_choice("order", self.order, get_args(Order))
        for name in ("min_nonzeros", "max_nonzeros"):
            if getattr(self, name) is not None:
                self._set(name, checked_integer(name, getattr(self, name), 0))
        least, most = self.min_nonzeros, self.max_nonzeros
        if least is not None and most is not None and least > most:
            raise ValueError(
                f"min_nonzeros must be at most max_nonzeros, got {shown(least)} > {shown(most)}"
            )
        self._set("first_per_count", self._checked_first())
        for name in ("first_per_count", "order"):
            if self.symmetry == "network" and name in self.given():
                raise ValueError(
                    f"{name} must be left out with symmetry='network', whose layers have no lists "
                    f"of their own, got {self.given()[name]!r}"
                )

    @property
    def is_filtered(self) -> bool:
        """Whether there is a bound on the nonzeros."""
        return self.min_nonzeros is not None or self.max_nonzeros is not None

    def given(self) -> dict[str, Any]:
        """The keyword arguments that are not at their defaults, by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)[2:]}
        values["first_per_count"] = dict(values["first_per_count"]) or None
        defaults = {f.name: f.default for f in fields(self)}
        return {name: value for name, value in values.items() if value != defaults[name]}

    def _checked_first(self) -> MappingProxyType[int, int]:
        """`first_per_count` as a mapping of ints that nobody changes, empty for None."""
        given = {} if self.first_per_count is None else self.first_per_count
        if not isinstance(given, Mapping):
            raise TypeError(
                f"first_per_count must map layers to numbers of masks, got {shown(given)}"
            )
        first: dict[int, int] = {}
        for layer, number in given.items():
            index = checked_integer("first_per_count's layer", layer, 0, len(self.widths) - 2)
            first[index] = checked_integer(f"first_per_count[{layer}]", number, 1)
        return MappingProxyType(first)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
