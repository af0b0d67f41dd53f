"""What a shape is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from prunelimits.pruners.scopes import Scope
from prunelimits.types import Masks, Scores


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

    @property
    def fixes_budget(self) -> bool:
        """Whether the shape alone says how many weights are left."""
        return False
