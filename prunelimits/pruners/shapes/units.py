"""Units, channels and heads, each with everything that goes with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, TypeAlias, final, get_args

import torch
from torch import Tensor, nn
from typing_extensions import override

from prunelimits import quotas
from prunelimits.arguments import checked_callable, checked_choice, checked_integer, shown
from prunelimits.masks import CoupledUnits, top
from prunelimits.pruners.scopes import Groups, Scope
from prunelimits.pruners.selection import ranking_of
from prunelimits.pruners.shapes.shape import Counted, Shape
from prunelimits.pruners.shapes.unit_budgets import as_units, at_least, at_one_share, warn_of_rest
from prunelimits.pruners.shapes.unit_layout import Layout, layout_of
from prunelimits.types import Masks, Scores

Together: TypeAlias = Literal["sum", "mean"]
FindUnits: TypeAlias = Callable[[nn.Module], CoupledUnits]


@final
@dataclass(frozen=True)
class Units(Shape):
    """Hidden units, channels and heads of attention, each with everything that goes with it.

    A unit is worth the sum of the scores of all weights that are cut with it,

        worth(u) = sum of s(w) over every w in a row or a column of u, in all tied layers,

    or their mean. Weights between two units count for both. No group loses its last unit, so that
    what is kept is connected: the effective masks are the masks.

    `keep` counts weights. The units are cut that are worth least, one after the other, until at
    most `keep` weights are left: less by less than what the last one held. With
    `scope="uniform"` every group keeps the same share of its units instead (the nearest number,
    halves up), the largest share that leaves at most `keep` weights. Numbers by layers,
    `keep={"encoder.*": 0.5, "head": 40}`, are units: of all groups that the layers of a name give;
    groups that no key names stay whole, with a warning.

    Units of which some weights are left out (`ignore`, frozen) stay whole, and so do layers in no
    group; `units.whole` says why.

    Attributes:
        coupled: What goes together: `connectivity.coupled_units(model, inputs=...)`; or a function
            that finds it of the model that is pruned, as `connectivity.coupled_units` itself.
        worth: Whether a unit is worth the sum or the mean of its weights' scores.

    Raises:
        TypeError: If `coupled` is something else.

    Examples:
        >>> from prunelimits.masks import UnitGroup, UnitSlices
        >>> slices = (UnitSlices("0.weight", 0, (0, 1)), UnitSlices("2.weight", 1, (0, 1)))
        >>> coupled = CoupledUnits((UnitGroup("0", 2, slices),), {
        ...     "0.weight": (2, 3), "2.weight": (1, 2)})
        >>> scores = {"0.weight": torch.tensor([[1.0, 1, 1], [2, 2, 2]]),
        ...           "2.weight": torch.tensor([[9.0, 1.0]])}
        >>> allowed = {name: score > 0 for name, score in scores.items()}
        >>> shape = Units(coupled)
        >>> shape.select(scores, allowed, shape.budget(allowed, 5, "global", 0))["2.weight"]
        tensor([[ True, False]])
    """

    coupled: CoupledUnits | FindUnits
    worth: Together = "sum"

    def __post_init__(self) -> None:
        if isinstance(self.coupled, type | nn.Module) or not (
            isinstance(self.coupled, CoupledUnits) or callable(self.coupled)
        ):
            raise TypeError(
                "coupled must be CoupledUnits, as connectivity.coupled_units(model) finds them, or "
                f"a function of a model that gives them, got {shown(self.coupled)}"
            )
        if not isinstance(self.coupled, CoupledUnits):
            what = "a function of a model that gives CoupledUnits"
            checked_callable("coupled", self.coupled, what, arguments=1)
        checked_choice("worth", self.worth, get_args(Together))

    @override
    def for_model(self, model: nn.Module) -> Units:
        """See `Shape.for_model`: the units that the function finds."""
        if isinstance(self.coupled, CoupledUnits):
            return self
        found: object = self.coupled(model)
        if not isinstance(found, CoupledUnits):
            raise TypeError(f"coupled must give CoupledUnits of a model, got {shown(found)}")
        return replace(self, coupled=found)

    @property
    def _found(self) -> CoupledUnits:
        if isinstance(self.coupled, CoupledUnits):
            return self.coupled
        raise ValueError(
            "shape Units does not know the model's units yet: take pruner.for_model(model)"
        )

    @override
    def check_scope(self, scope: Scope) -> None:
        """See `Shape.check_scope`."""
        if scope not in ("global", "uniform") and not isinstance(scope, Groups):
            raise ValueError(
                "scope must be 'global' or 'uniform' for Units: a unit has weights in several "
                f"layers, so layers have no quotas of their own, got {scope!r}; "
                "keep={...} gives groups numbers of units"
            )

    @override
    def budget(self, masks: Masks, keep: int | None, scope: Scope, floor: int) -> Tensor:
        """See `Shape.budget`: `(1,)` weights, or `(groups,)` units for a uniform scope."""
        layout, left = self._checked(masks)
        keep = checked_integer("keep", keep, 0)
        least = layout.least(left, floor)
        lowest, most = layout.weights(least), layout.weights(left)
        if not lowest <= keep <= most:
            raise ValueError(
                f"keep must be from {lowest} to {most}: from the weights that one unit of each "
                f"group{f' and floor={floor}' * (floor > 1)} and the layers that stay whole hold, "
                f"got {keep}"
            )
        device = next(iter(masks.values())).device
        if scope == "global" or len(left) < 2:
            return torch.tensor([keep], device=device)
        return torch.tensor(at_one_share(layout, left, least, keep), device=device)

    @override
    def budget_by_groups(
        self,
        masks: Masks,
        keep: Mapping[str, int | Fraction],
        names: Mapping[str, Sequence[str]],
        scope: Scope,
        floor: int,
        *,
        warns: bool = True,
    ) -> tuple[Scope, Tensor]:
        """See `Shape.budget_by_groups`: numbers of units."""
        layout, left = self._checked(masks)
        least = layout.least(left, floor)
        firsts = layout.firsts
        parts: dict[str, list[int]] = {}
        for label, own in names.items():
            parts[label] = [place for place, first in enumerate(firsts) if first in own]
            if not parts[label]:
                raise ValueError(
                    f"keep[{label!r}] names no units that can be cut: there are those of "
                    f"{', '.join(firsts)}"
                )
        budgets: list[tuple[str, list[int], int]] = []
        for label, places in parts.items():
            here, low = [left[p] for p in places], [least[p] for p in places]
            number = as_units(label, keep[label], here, low)
            if scope == "global":
                budgets.append((label, places, number))
                continue
            shares = quotas.uniform(
                {str(p): (n,) for p, n in zip(places, here, strict=True)}, number
            )
            raised = at_least(list(shares.values()), low, here)
            budgets += [(firsts[p], [p], n) for p, n in zip(places, raised, strict=True)]
        taken = {place for _, places, _ in budgets for place in places}
        rest = [(firsts[p], [p], n) for p, n in enumerate(left) if p not in taken]
        budgets += rest
        if warns:
            warn_of_rest({label: number for label, _, number in rest}, sum(left))
        layers = tuple(tuple(firsts[p] for p in places) for _, places, _ in budgets)
        device = next(iter(masks.values())).device
        numbers = torch.tensor([number for *_, number in budgets], device=device)
        return Groups(layers, tuple(label for label, *_ in budgets)), numbers

    @override
    def counts(
        self, masks: Masks, like: Tensor, groups: Sequence[Sequence[str]] | None = None
    ) -> Tensor:
        """See `Shape.counts`: units, but of one budget for all, which is weights."""
        if self.counted(like, groups) == "weights":
            return super().counts(masks, like, groups)
        layout = layout_of(self._found, masks)
        alive = [units.sum() for units in layout.split(layout.alive(masks))]
        return torch.stack(
            [torch.stack([alive[p] for p in places]).sum() for places in layout.places(groups)]
        )

    @override
    def counted(self, budget: Tensor, groups: Sequence[Sequence[str]] | None = None) -> Counted:
        """See `Shape.counted`: units, but of one budget for all."""
        return "weights" if groups is None and len(budget) == 1 else "units"

    @override
    def labels(self, masks: Masks, budget: Tensor) -> list[str] | None:
        """See `Shape.labels`: groups of units."""
        return layout_of(self._found, masks).names if len(budget) > 1 else None

    @override
    def select(
        self,
        scores: Scores,
        allowed: Masks,
        budget: Tensor,
        *,
        floor: int = 0,
        groups: Sequence[Sequence[str]] | None = None,
        forced: Masks | None = None,
    ) -> Masks:
        """See `Shape.select`; what `forced` keeps of a unit keeps all of it."""
        layout = layout_of(self._found, allowed)
        if not layout.sizes:
            return dict(allowed)
        ranked = {
            name: ranking_of(name, scores.get(name), mask).masked_fill(~mask, 0)
            for name, mask in allowed.items()
        }
        alive = layout.alive(allowed)
        worth = layout.sums(ranked)
        if self.worth == "mean":
            numbers = {name: mask.to(ranked[name].dtype) for name, mask in allowed.items()}
            worth = worth / layout.sums(numbers).clamp(min=1)
        worth = worth.masked_fill(~alive, -torch.inf)
        least = layout.least(layout.sizes, floor)
        parts: list[Tensor] = []
        for units, number in zip(layout.split(worth), least, strict=True):
            first = top({"units": units}, number)["units"] & (units > -torch.inf)
            parts.append(units.masked_fill(first, torch.inf))
        worth = torch.cat(parts)
        if forced is not None:
            worth = worth.masked_fill(layout.any(forced) & alive, torch.inf)
        if groups is None and len(budget) == 1:
            kept = layout.best(worth, allowed, budget[0])
        else:
            kept = alive
            for places, number in zip(layout.places(groups), budget, strict=True):
                kept = layout.replaced(kept, places, layout.top(worth, places, number) & alive)
        return layout.masks(kept, allowed)

    @override
    def complete(self, masks: Masks) -> Masks:
        """See `Shape.complete`: biases and normalisations of units that are gone."""
        found = self._found.complete(masks)
        # A matrix that has no mask is left alone, with all its units.
        return {n: m for n, m in found.items() if n in masks or m.dim() < 2}

    def _checked(self, masks: Masks) -> tuple[Layout, list[int]]:
        """The layout, and how many units of each group are left.

        Raises:
            ValueError: If the masks are of another model, or prune parts of units or whole groups.
        """
        for name, shape in self._found.shapes.items():
            if name in masks and tuple(masks[name].shape) != tuple(shape):
                raise ValueError(
                    f"shape {self} is of another model: {name!r} has shape {tuple(shape)} there, "
                    f"and {tuple(masks[name].shape)} here"
                )
        layout = layout_of(self._found, masks)
        if not layout.sizes:
            raise ValueError(
                f"shape {self} has no units that can be cut of {', '.join(masks)}"
                + "".join(f"; {path}: {why}" for path, why in self._found.whole.items())
            )
        if all(bool(mask.all()) for mask in masks.values()):
            return layout, list(layout.sizes)
        alive = layout.alive(masks)
        left = [int(units.sum()) for units in layout.split(alive)]
        for name, number in zip(layout.names, left, strict=True):
            if not number:
                raise ValueError(f"masks must leave a unit of {name!r}, but prune all of them")
        whole = layout.masks(alive, {name: torch.ones_like(m) for name, m in masks.items()})
        for name, mask in masks.items():
            if layout.holds(name) and not torch.equal(mask, whole[name]):
                raise ValueError(
                    f"masks must prune whole units of {self}, but cut through {name!r}"
                )
        return layout, left
