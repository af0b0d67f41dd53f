"""Units, channels and heads, each with everything that goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias, final, get_args

import torch
from torch import Tensor
from typing_extensions import override

from prunelimits import quotas
from prunelimits.arguments import checked_choice, checked_instance, checked_integer
from prunelimits.masks import CoupledUnits, top
from prunelimits.pruners.scopes import Groups, Scope
from prunelimits.pruners.selection import ranking_of
from prunelimits.pruners.shapes.shape import Shape
from prunelimits.pruners.shapes.unit_layout import Layout, layout_of
from prunelimits.types import Masks, Scores

Together: TypeAlias = Literal["sum", "mean"]


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
    `keep={"encoder.*": 0.5, "head": 40}`, are units: of all groups that the layers of a name give.

    Units of which some weights are left out (`ignore`, frozen) stay whole, and so do layers in no
    group; `units.whole` says why.

    Attributes:
        coupled: What goes together: `connectivity.coupled_units(model, inputs=...)`.
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

    coupled: CoupledUnits
    worth: Together = "sum"

    def __post_init__(self) -> None:
        what = "CoupledUnits, as connectivity.coupled_units(model) finds them"
        checked_instance("coupled", self.coupled, CoupledUnits, what)
        checked_choice("worth", self.worth, get_args(Together))

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
        return torch.tensor(_uniform(layout, left, least, keep), device=device)

    @override
    def budget_by_groups(
        self,
        masks: Masks,
        keep: Mapping[str, int | Fraction],
        names: Mapping[str, Sequence[str]],
        scope: Scope,
        floor: int,
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
            number = _units(label, keep[label], here, low)
            if scope == "global":
                budgets.append((label, places, number))
                continue
            shares = quotas.uniform(
                {str(p): (n,) for p, n in zip(places, here, strict=True)}, number
            )
            raised = _at_least(list(shares.values()), low, here)
            budgets += [(firsts[p], [p], n) for p, n in zip(places, raised, strict=True)]
        taken = {place for _, places, _ in budgets for place in places}
        rest = [(firsts[p], [p], n) for p, n in enumerate(left) if p not in taken]
        budgets += rest
        layers = tuple(tuple(firsts[p] for p in places) for _, places, _ in budgets)
        device = next(iter(masks.values())).device
        numbers = torch.tensor([number for *_, number in budgets], device=device)
        return Groups(layers, tuple(label for label, *_ in budgets)), numbers

    @override
    def counts(
        self, masks: Masks, like: Tensor, groups: Sequence[Sequence[str]] | None = None
    ) -> Tensor:
        """See `Shape.counts`: units, but of one budget for all, which is weights."""
        if groups is None and len(like) == 1:
            return super().counts(masks, like, groups)
        layout = layout_of(self.coupled, masks)
        alive = [units.sum() for units in layout.split(layout.alive(masks))]
        return torch.stack(
            [torch.stack([alive[p] for p in places]).sum() for places in layout.places(groups)]
        )

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
        layout = layout_of(self.coupled, allowed)
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
        found = self.coupled.complete(masks)
        # A matrix that has no mask is left alone, with all its units.
        return {n: m for n, m in found.items() if n in masks or m.dim() < 2}

    def _checked(self, masks: Masks) -> tuple[Layout, list[int]]:
        """The layout, and how many units of each group are left.

        Raises:
            ValueError: If the masks are of another model, or prune parts of units or whole groups.
        """
        for name, shape in self.coupled.shapes.items():
            if name in masks and tuple(masks[name].shape) != tuple(shape):
                raise ValueError(
                    f"shape {self} is of another model: {name!r} has shape {tuple(shape)} there, "
                    f"and {tuple(masks[name].shape)} here"
                )
        layout = layout_of(self.coupled, masks)
        if not layout.sizes:
            raise ValueError(
                f"shape {self} has no units that can be cut of {', '.join(masks)}"
                + "".join(f"; {path}: {why}" for path, why in self.coupled.whole.items())
            )
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


def _uniform(layout: Layout, left: list[int], least: list[int], keep: int) -> list[int]:
    """The units of each group at the largest share that leaves at most `keep` weights."""

    def kept(share: Fraction) -> list[int]:
        # The nearest number, halves up.
        near = [int(share * size + Fraction(1, 2)) for size in left]
        return [min(max(n, low), size) for n, low, size in zip(near, least, left, strict=True)]

    shares = sorted({Fraction(2 * n - 1, 2 * size) for size in left for n in range(1, size + 1)})
    low, high = -1, len(shares)
    while high - low > 1:
        middle = (low + high) // 2
        if layout.weights(kept(shares[middle])) <= keep:
            low = middle
        else:
            high = middle
    return kept(shares[low]) if low >= 0 else list(least)


def _units(label: str, number: int | Fraction, here: list[int], low: list[int]) -> int:
    """A number or a share of units as a number."""
    most, fewest = sum(here), sum(low)
    if isinstance(number, Fraction):
        return max(fewest, int(number * most + Fraction(1, 2)))
    if not fewest <= number <= most:
        raise ValueError(
            f"keep[{label!r}] must be from {fewest} to {most} units, as each of its {len(here)} "
            f"groups keeps one or what floor needs, got {number}"
        )
    return number


def _at_least(shares: list[int], low: list[int], high: list[int]) -> list[int]:
    """Shares raised to what must be, at the cost of the largest that can give."""
    raised = [min(max(s, a), b) for s, a, b in zip(shares, low, high, strict=True)]
    while sum(raised) > sum(shares):
        place = max(range(len(raised)), key=lambda p: raised[p] - low[p])
        raised[place] -= 1
    return raised
