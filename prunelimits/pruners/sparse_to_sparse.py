"""The rule of methods that train a sparse network: a random start, then moves of weights."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from prunelimits.masks import apply
from prunelimits.pruners.base import AbstractPruner, Category, State
from prunelimits.pruners.budgets import Scope
from prunelimits.pruners.nan_checks import check_weights
from prunelimits.pruners.selection import counts, select
from prunelimits.types import Masks, Params, Problem, Scores


class Moves(NamedTuple):
    """What a round of a sparse-to-sparse method does.

    Attributes:
        params: The parameters, with what the method itself changes in them.
        stay: The kept weights that are not dropped.
        growth: How many weights grow, int64: `(1,)` among all layers or `(layers,)`.
        scores: The weights with the largest of those that `stay` does not keep are grown.
        memory: The state's memory from now on.
    """

    params: Params
    stay: Masks
    growth: Tensor
    scores: Scores
    memory: Params


@dataclass(frozen=True, kw_only=True)
class SparseToSparse(AbstractPruner):
    """Starts sparse at random; each round drops weights and grows as many.

    Weights grow where nothing is kept, what was just dropped included: a weight that is dropped and
    grown at once keeps its value, a new one starts from zero. A subclass says what is dropped and
    what grows; see `DropGrow` for the common case.

    Attributes:
        rounds: How often to move weights in a training.
        until: The share of the training after which the last round falls.
        scope: How the random start divides the budget.
    """

    category: ClassVar[Category] = "sparse to sparse"
    scope: Scope = "erk"

    @property
    @override
    def needs_noise(self) -> bool:
        """It chooses at random."""
        return True

    @abstractmethod
    def start(self, params: Params, masks: Masks) -> Params:
        """What the method remembers from the beginning, by names of its own."""

    @abstractmethod
    def moves(
        self, state: State, params: Params, grads: Params | None, noise: Params | None
    ) -> Moves:
        """What the round after `state` does; `params` are zero where nothing is kept."""

    def init(
        self,
        problem: Problem,
        params: Params,
        masks: Masks,
        budget: Tensor,
        noise: Params | None = None,
    ) -> State:
        """See `AbstractPruner.init`: a random network; `memory` has which weights may grow."""
        kept = select(self.checked("noise", noise), masks, budget, floor=self.floor)
        memory = {**masks, **self.start(params, masks)}
        return State(kept, budget, counts(masks, budget), torch.zeros_like(budget[0]), memory)

    def update(
        self,
        problem: Problem,
        state: State,
        params: Params,
        grads: Params | None = None,
        noise: Params | None = None,
    ) -> tuple[Params, State]:
        """See `AbstractPruner.update`: the moved masks, new weights at zero."""
        # What the masks prune is new when it grows, whatever `params` holds there.
        live = apply(params, state.masks)
        check_weights(live, state.masks)
        moves = self.moves(state, live, grads, noise)
        free = {name: state.memory[name] & ~stay for name, stay in moves.stay.items()}
        grown = select(moves.scores, free, moves.growth)
        masks = {name: stay | grown[name] for name, stay in moves.stay.items()}
        finished = state.round >= self.rounds
        done = state._replace(
            masks=_unless(finished, masks, state.masks),
            round=(state.round + 1).clamp(max=self.rounds),
            memory=_unless(finished, moves.memory, state.memory),
        )
        return apply(_unless(finished, moves.params, live), done.masks), done

    def checked(self, argument: str, values: Params | None) -> Params:
        """`values`, if they are there.

        Raises:
            ValueError: If they are not.
        """
        if values is None:
            raise ValueError(f"{argument} is needed by {type(self).__name__}, got None")
        return values


def _unless(finished: Tensor, new: Params, old: Params) -> Params:
    return {name: old[name].where(finished, value) for name, value in new.items()}
