"""The rule of methods that prune little by little while the network trains."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from prunelimits.masks import apply
from prunelimits.pruners.base import AbstractPruner, Category, State
from prunelimits.pruners.nan_checks import check_scores
from prunelimits.pruners.schedules import cubic
from prunelimits.pruners.selection import counts, select
from prunelimits.types import Masks, Params, Problem, Scores


@dataclass(frozen=True, kw_only=True)
class Gradual(AbstractPruner):
    """Starts dense; round r of R leaves `k + (N - k)(1 - r / R)^3` weights, and none returns.

    A subclass says how it scores.

    Attributes:
        rounds: How often to prune in a training.
        until: The share of the training after which the last round falls.
    """

    category: ClassVar[Category] = "dense to sparse"
    rounds: int = 199
    until: float = 199 / 200

    @abstractmethod
    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """How much each weight is worth keeping; arguments as for `AtInit.scores`."""

    def left(self, start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
        """See `AbstractPruner.left`: `k + (N - k)(1 - t)^3`."""
        return cubic(start, budget, progress)

    def init(
        self,
        problem: Problem,
        params: Params,
        masks: Masks,
        budget: Tensor,
        noise: Params | None = None,
    ) -> State:
        """See `AbstractPruner.init`: nothing is pruned yet."""
        return State(masks, budget, counts(masks, budget), torch.zeros_like(budget[0]), {})

    def update(
        self,
        problem: Problem,
        state: State,
        params: Params,
        grads: Params | None = None,
        noise: Params | None = None,
    ) -> tuple[Params, State]:
        """See `AbstractPruner.update`: the next round's masks."""
        done = (state.round + 1).clamp(max=self.rounds)
        keep = self.left(state.start, state.budget, done.double() / self.rounds)
        scores = self.scores(problem, params, state.masks, noise)
        check_scores(scores, state.masks, type(self).__name__, problem, params)
        masks = select(scores, state.masks, keep, floor=self.floor)
        return apply(params, masks), state._replace(masks=masks, round=done)
