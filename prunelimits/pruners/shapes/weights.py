"""Single weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor
from typing_extensions import override

from prunelimits.arguments import checked_integer
from prunelimits.pruners.scopes import Scope, divide
from prunelimits.pruners.selection import select
from prunelimits.pruners.shapes.shape import Shape
from prunelimits.types import Masks, Scores


@final
@dataclass(frozen=True)
class Weights(Shape):
    """Each weight is kept or cut by itself; budgets are exact."""

    @override
    def budget(self, masks: Masks, keep: int | None, scope: Scope, floor: int) -> Tensor:
        """See `Shape.budget`."""
        return divide(masks, checked_integer("keep", keep, 0), scope=scope, floor=floor)

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
        """See `Shape.select`."""
        return select(scores, allowed, budget, floor=floor, groups=groups, forced=forced)
