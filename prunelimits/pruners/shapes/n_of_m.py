"""N of every M weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from typing_extensions import override

from prunelimits.arguments import checked_integer
from prunelimits.pruners.scopes import Scope
from prunelimits.pruners.selection import ranking_of
from prunelimits.pruners.shapes.shape import Shape
from prunelimits.types import Masks, Scores


@final
@dataclass(frozen=True)
class NOfM(Shape):
    """Exactly N of every M consecutive weights along an axis, as in 2:4 of sparse tensor cores.

    The shape says how many weights are left: `keep` and `sparsity` may be left out. In a schedule
    of several rounds every group has the same number left, from M down to N, as few as the
    schedule's number of weights needs. What is pruned already stays pruned: a group of which less
    than N is left keeps that.

    Attributes:
        n: How many of a group are kept.
        m: How many weights are a group.
        axis: Along which axis groups lie; 1, the inputs of a layer, is what sparse kernels take.

    Raises:
        ValueError: If `n` is above `m`, or a number is out of its range.

    Examples:
        >>> scores = {"w": torch.tensor([[3.0, 1.0, 2.0, 4.0], [5.0, 8.0, 7.0, 6.0]])}
        >>> allowed = {"w": torch.ones(2, 4, dtype=torch.bool)}
        >>> shape = NOfM(2, 4)
        >>> shape.select(scores, allowed, shape.budget(allowed, None, "global", 0))["w"].int()
        tensor([[1, 0, 0, 1],
                [0, 1, 1, 0]], dtype=torch.int32)
    """

    n: int
    m: int
    axis: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "m", checked_integer("m", self.m, 1))
        object.__setattr__(self, "n", checked_integer("n", self.n, 0, self.m))
        object.__setattr__(self, "axis", checked_integer("axis", self.axis, 0))

    @property
    @override
    def fixes_budget(self) -> bool:
        """It does."""
        return True

    @override
    def budget(self, masks: Masks, keep: int | None, scope: Scope, floor: int) -> Tensor:
        """See `Shape.budget`."""
        for name, mask in masks.items():
            if self.axis >= mask.dim() or mask.shape[self.axis] % self.m:
                size = tuple(mask.shape)
                raise ValueError(
                    f"shape {self} needs a multiple of {self.m} weights along axis {self.axis}, "
                    f"but {name!r} has shape {size}: leave it out with ignore="
                )
        left = {
            name: int(self._groups(mask).sum(1).clamp(max=self.n).sum())
            for name, mask in masks.items()
        }
        if keep is not None and checked_integer("keep", keep, 0) != sum(left.values()):
            raise ValueError(
                f"keep must be the {sum(left.values())} weights that {self.n} of every {self.m} "
                f"are, or be left out, got {keep}"
            )
        for name, number in left.items():
            if number < min(floor, int(masks[name].sum())):
                raise ValueError(f"floor must be at most the {number} that {name!r} keeps")
        return torch.tensor(list(left.values()), device=next(iter(masks.values())).device)

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
        """See `Shape.select`; floor and groups say nothing here."""
        found: Masks = {}
        for (name, mask), keep in zip(allowed.items(), budget, strict=True):
            ranked = self._groups(
                ranking_of(
                    name, scores.get(name), mask, forced=None if forced is None else forced[name]
                )
            )
            place = ranked.sort(dim=1, descending=True, stable=True).indices.argsort(1)
            kept = place < self._left(self._groups(mask).sum(1), keep)
            found[name] = self._ungrouped(kept, mask) & mask
        return found

    def _left(self, sizes: Tensor, keep: Tensor) -> Tensor:
        """The fewest of each group with which a layer has `keep` weights or more."""
        levels = torch.arange(self.m, device=sizes.device)
        return (sizes[:, None].minimum(levels).sum(0) < keep).sum()

    def _groups(self, weight: Tensor) -> Tensor:
        """`(groups, m)`."""
        return weight.movedim(self.axis, -1).reshape(-1, self.m)

    def _ungrouped(self, grouped: Tensor, like: Tensor) -> Tensor:
        moved = like.movedim(self.axis, -1).shape
        return grouped.reshape(moved).movedim(-1, self.axis)
