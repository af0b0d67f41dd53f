"""The rule of methods that prune before training, in one round or several."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from prunelimits.masks import apply
from prunelimits.progress import tracked
from prunelimits.pruners.base import AbstractPruner, Category, State
from prunelimits.pruners.nan_checks import check_scores
from prunelimits.pruners.schedules import exponential
from prunelimits.pruners.selection import counts, select
from prunelimits.types import Masks, Params, Problem, Scores


@dataclass(frozen=True, kw_only=True)
class AtInit(AbstractPruner):
    """Scores the weights and keeps the best, before training; `update` only re-masks.

    Round r of R keeps `N (k / N)^(r / R)` of the N weights, rounded, and exactly k in the last.
    One round scores with all the problem's batches; of several, round r (from 0) has batch r
    modulo their number to itself.

    A subclass says how it scores:

        >>> class Cubed(AtInit):
        ...     def scores(self, problem, params, masks, noise=None):
        ...         return {name: params[name].abs() ** 3 for name in masks}

    Attributes:
        rounds: How often to score.
        revive: Whether a round chooses among all weights again, not only among those left.
    """

    category: ClassVar[Category] = "at initialisation"
    revive: ClassVar[bool] = False
    rounds: int = 1
    until: float = field(default=0.0, init=False, repr=False)

    @abstractmethod
    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """How much each weight that `masks` name is worth keeping; larger means keep.

        Args:
            problem: The task, with the batches of this round.
            params: Parameters and buffers by name.
            masks: What is kept now: what it prunes acts as zero, whatever `params` holds there.
            noise: Uniform in [0, 1), shaped like the masks, for pruners that need it.
        """

    def left(self, start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
        """See `AbstractPruner.left`: `N (k / N)^t`."""
        return exponential(start, budget, progress)

    def each_round(
        self,
        problem: Problem,
        params: Params,
        masks: Masks,
        budget: Tensor,
        noise: Params | None = None,
    ) -> Iterator[tuple[Scores, Masks]]:
        """The scores and the masks of every round, `rounds` pairs; arguments as for `init`."""
        start, current = counts(masks, budget), masks
        for done in tracked(range(self.rounds)):
            among = masks if self.revive else current
            scores = self.scores(self._of_round(problem, done), params, current, noise)
            check_scores(scores, among, type(self).__name__, problem, params)
            keep = self.left(start, budget, (done + 1) / self.rounds)
            current = select(scores, among, keep, floor=self.floor)
            yield scores, current

    def _of_round(self, problem: Problem, done: int) -> Problem:
        if self.rounds == 1 or not problem.batches:
            return problem
        return problem._replace(batches=[problem.batches[done % len(problem.batches)]])

    def init(
        self,
        problem: Problem,
        params: Params,
        masks: Masks,
        budget: Tensor,
        noise: Params | None = None,
    ) -> State:
        """See `AbstractPruner.init`: all rounds, one after the other."""
        *_, (_, kept) = self.each_round(problem, params, masks, budget, noise)
        return State(kept, budget, counts(masks, budget), torch.zeros_like(budget[0]), {})

    def update(
        self,
        problem: Problem,
        state: State,
        params: Params,
        grads: Params | None = None,
        noise: Params | None = None,
    ) -> tuple[Params, State]:
        """The parameters masked, and the state as it is."""
        return apply(params, state.masks), state
