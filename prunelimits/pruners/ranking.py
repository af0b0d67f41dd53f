"""Which weights are better than which: three of the four choices, without the schedule."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from prunelimits.arguments import checked_tensors
from prunelimits.modes import many_at_once
from prunelimits.pruners.nan_checks import check_scores
from prunelimits.pruners.scopes import Groups, Scope
from prunelimits.pruners.scoring import AnyScore, Score
from prunelimits.pruners.shapes import Shape
from prunelimits.pruners.state import Seen
from prunelimits.types import Masks, Params, Problem, Scores


class Ranking(NamedTuple):
    """What a schedule ranks by.

    Attributes:
        name: The method's, for messages.
        score: How much each weight matters.
        shape: What is kept or cut together.
        scope: Who competes with whom.
        floor: How many weights every layer keeps at least, if it has them.
    """

    name: str
    score: AnyScore
    shape: Shape
    scope: Scope
    floor: int

    @property
    def groups(self) -> tuple[tuple[str, ...], ...] | None:
        """The layers that are ranked together; None where the budget's size says it."""
        return self.scope.layers if isinstance(self.scope, Groups) else None

    def scores(
        self,
        seen: Seen,
        masks: Masks,
        among: Masks | None = None,
        *,
        of: Problem | None = None,
    ) -> Scores:
        """The scores where `masks` act, checked for those that may be kept, `among`.

        Raises:
            ValueError: If one of them is NaN; the message names the batch of the problem `of`. If
                the score has written to a parameter or a mask.
            TypeError: If they are no tensors of real numbers by name.
        """
        assert isinstance(self.score, Score)
        used = {f"params[{n!r}]": seen.params[n] for n in masks if n in seen.params}
        used |= {f"masks[{name!r}]": mask for name, mask in masks.items()}
        before = versions(used)
        given: object = self.score(seen.problem, seen.params, masks, seen.noise)
        if changed := [name for name, now in versions(used).items() if now != before[name]]:
            raise ValueError(
                f"score of {self.name} must not change what it is given, but wrote to {changed[0]}"
            )
        found = dict(checked_tensors("scores", given))
        among = masks if among is None else among
        check_scores(found, among, self.name, of or seen.problem, seen.params)
        return found

    def keep(
        self, scores: Scores, allowed: Masks, budget: Tensor, *, forced: Masks | None = None
    ) -> Masks:
        """The masks with the largest scores, as shape, scope and floor say."""
        return self.shape.select(
            scores, allowed, budget, floor=self.floor, groups=self.groups, forced=forced
        )

    def counts(self, masks: Masks, like: Tensor) -> Tensor:
        """How much masks keep, in what budgets count (weights, or units), shaped like a budget."""
        return self.shape.counts(masks, like, self.groups)

    def needed(self, argument: str, values: Params | None) -> Params:
        """`values`, if they are there.

        Raises:
            ValueError: If they are not.
        """
        if values is None:
            raise ValueError(f"{argument} is needed by {self.name}, got None")
        return values


def versions(values: Params) -> dict[str, int]:
    """How often each tensor was written to, where torch counts it: none under `torch.vmap`."""
    if many_at_once():
        return {}
    counted = {name: value for name, value in values.items() if not value.is_inference()}
    return {name: value._version for name, value in counted.items()}  # pyright: ignore
