"""The rule of methods that learn what to keep in a training of their own."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from prunelimits.masks import apply
from prunelimits.pruners.base import AbstractPruner, State
from prunelimits.pruners.nan_checks import check_scores, check_task, check_weights
from prunelimits.pruners.selection import counts, select
from prunelimits.types import Masks, Params, Problem, Scores


@dataclass(frozen=True, kw_only=True)
class LearnedMask(AbstractPruner):
    """Trains scores, or weights to score, on the problem's batches; then keeps the best, once.

    The training takes place inside `init`, in evaluation mode, on values of its own: the parameters
    that it is given stay as they are. The state's `memory` holds the weights that the masks belong
    to: the same, for methods that train scores alone. `update` only re-masks.

    A subclass says how it learns.
    """

    needs_data: ClassVar[bool] = True
    rounds: int = field(default=1, init=False, repr=False)
    until: float = field(default=0.0, init=False, repr=False)

    @property
    @override
    def batches(self) -> int | None:
        """All: it trains on them."""
        return None

    @abstractmethod
    def learn(
        self,
        problem: Problem,
        params: Params,
        masks: Masks,
        budget: Tensor,
        noise: Params | None = None,
    ) -> tuple[Scores, Params]:
        """How much each weight is worth keeping, and the parameters to keep; see `init`."""

    def init(
        self,
        problem: Problem,
        params: Params,
        masks: Masks,
        budget: Tensor,
        noise: Params | None = None,
    ) -> State:
        """See `AbstractPruner.init`: after the training."""
        if self.needs_data:
            check_task(problem, params, masks)
        else:
            check_weights(params, masks)
        scores, learned = self.learn(problem, params, masks, budget, noise)
        check_scores(scores, masks, type(self).__name__, problem, params)
        kept = select(scores, masks, budget, floor=self.floor)
        return State(kept, budget, counts(masks, budget), torch.zeros_like(budget[0]), learned)

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
