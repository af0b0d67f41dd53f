"""What a shape is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from torch import Tensor, nn

from prunelimits.pruners.scopes import Scope
from prunelimits.pruners.selection import counts
from prunelimits.types import Masks, Scores

Counted: TypeAlias = Literal["weights", "units"]


@dataclass(frozen=True)
class Shape(ABC):
    """What of a layer is kept or cut together. Shapes are frozen values; budgets are weights.

    Where a budget does not come out in whole pieces, less is kept, by less than a piece.
    """

    @abstractmethod
    def budget(self, masks: Masks, keep: int | None, scope: Scope, floor: int) -> Tensor:
        """How many weights survive, as `divide` gives it.

        Args:
            masks: The weights that may be kept, without a model axis.
            keep: How many survive; None where the shape says so itself.
            scope: By which rule layers get their quotas.
            floor: How many weights every layer keeps at least, if it has them.

        Raises:
            ValueError: If the layers are no multiples of the shape, or the budget cannot be met.
        """

    @abstractmethod
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
        """The masks of this shape with the largest scores; arguments as for `selection.select`."""

    def for_model(self, model: nn.Module) -> Shape:
        """The shape with what it has to know of a model: itself, where that is nothing."""
        return self

    def check_scope(self, scope: Scope) -> None:  # noqa: B027 - most shapes go with any
        """Raises `ValueError` for a scope that makes no sense with the shape, with the reason."""

    def budget_by_groups(
        self,
        masks: Masks,
        keep: Mapping[str, int | Fraction],
        names: Mapping[str, Sequence[str]],
        scope: Scope,
        floor: int,
        *,
        warns: bool = True,
    ) -> tuple[Scope, Tensor] | None:
        """The scope and the budget where pieces lie in several layers; None: layers share nothing.

        Args:
            masks: The weights that may be kept, without a model axis.
            keep: What the caller keeps of each group, by label: a number, or a share.
            names: The weights of each group.
            scope: By which rule the layers of a group get their quotas.
            floor: How many weights every layer keeps at least, if it has them.
            warns: Whether pieces that no group names are told.

        Raises:
            ValueError: If a group names no pieces, or its number is out of its range.
        """
        return None

    def counts(
        self, masks: Masks, like: Tensor, groups: Sequence[Sequence[str]] | None = None
    ) -> Tensor:
        """How much the masks keep, in what budgets count: weights. Shaped like a budget."""
        return counts(masks, like, groups)

    def counted(self, budget: Tensor, groups: Sequence[Sequence[str]] | None = None) -> Counted:
        """What the numbers of a budget count."""
        return "weights"

    def labels(self, masks: Masks, budget: Tensor) -> list[str] | None:
        """What each number of a budget by a rule is for; None: all layers are ranked together."""
        return list(masks) if len(budget) == len(masks) else None

    def complete(self, masks: Masks) -> Masks:
        """The masks, and with them those of parameters that are not pruned by themselves."""
        return masks

    @property
    def fixes_budget(self) -> bool:
        """Whether the shape alone says how many weights are left."""
        return False
