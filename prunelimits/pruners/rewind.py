"""The rule of methods that train, prune, and train again from the beginning."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from prunelimits.masks import apply
from prunelimits.pruners.base import AbstractPruner, Category, State
from prunelimits.pruners.nan_checks import check_scores
from prunelimits.pruners.schedules import exponential
from prunelimits.pruners.selection import counts, select
from prunelimits.types import Masks, Params, Problem, Scores


@dataclass(frozen=True, kw_only=True)
class Rewind(AbstractPruner):
    """After each whole training, prunes and sets everything left back to where it started.

    After training r (from 1) of R, `N (k / N)^(r / R)` weights are left, rounded; the last
    training, the one after round R, keeps all it was given. Parameters and buffers go back to
    those that `init` got.

    A subclass says how it scores.

    Attributes:
        rounds: How often to prune: one training more than that.
    """

    category: ClassVar[Category] = "dense to sparse"
    rounds: int = 4
    until: float = field(default=1.0, init=False, repr=False)

    @abstractmethod
    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """How much each weight is worth keeping; arguments as for `AtInit.scores`."""

    def left(self, start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
        """See `AbstractPruner.left`: `N (k / N)^t`."""
        return exponential(start, budget, progress)

    def init(
        self,
        problem: Problem,
        params: Params,
        masks: Masks,
        budget: Tensor,
        noise: Params | None = None,
    ) -> State:
        """See `AbstractPruner.init`: nothing is pruned; `memory` is a copy of `params`."""
        memory = {name: value.detach().clone() for name, value in params.items()}
        return State(masks, budget, counts(masks, budget), torch.zeros_like(budget[0]), memory)

    def update(
        self,
        problem: Problem,
        state: State,
        params: Params,
        grads: Params | None = None,
        noise: Params | None = None,
    ) -> tuple[Params, State]:
        """The first parameters under the next round's masks; after the last round, `params`."""
        finished = state.round >= self.rounds
        done = (state.round + 1).clamp(max=self.rounds)
        keep = self.left(state.start, state.budget, done.double() / self.rounds)
        scores = self.scores(problem, params, state.masks, noise)
        check_scores(scores, state.masks, type(self).__name__, problem, params)
        masks = select(scores, state.masks, keep, floor=self.floor)
        rewound = {n: value.where(finished, state.memory[n]) for n, value in params.items()}
        return apply(rewound, masks), state._replace(masks=masks, round=done)
