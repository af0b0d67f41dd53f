"""Train a sparse network: a random start, then moves of weights."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from prunelimits.masks import apply
from prunelimits.pruners.nan_checks import check_weights
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.schedules.schedule import Category, Schedule
from prunelimits.pruners.schedules.times import Time, check_window, spread
from prunelimits.pruners.shapes import Weights
from prunelimits.pruners.state import Seen, State
from prunelimits.types import Masks, Params


class Moves(NamedTuple):
    """What a round of moves does.

    Attributes:
        params: The parameters, with what the method itself changes in them.
        masks: What is kept from now on.
        memory: The state's memory from now on.
    """

    params: Params
    masks: Masks
    memory: Params


@dataclass(frozen=True, kw_only=True)
class Moving(Schedule):
    """Starts sparse at random; each round drops weights and grows as many.

    Weights grow where nothing is kept, what was just dropped included: a weight that is dropped and
    grown at once keeps its value, a new one starts from zero. A subclass says what is dropped and
    what grows; see `DropGrow` for the common case.

    Attributes:
        rounds: How often to move weights in a training.
        start: Where the first interval begins, in optimizer steps or as a share of the training.
        end: Where the last round falls, or just before. 0: no round; the random start stays.
    """

    category: ClassVar[Category] = "sparse to sparse"
    start: Time = 0
    end: Time = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_window(self)

    @property
    @override
    def acts_in_training(self) -> bool:
        """Where there is time for rounds."""
        return bool(self.end)

    @property
    @override
    def needs_noise(self) -> bool:
        """It starts at random."""
        return True

    @override
    def check(self, ranking: Ranking) -> None:
        """A rule that goes by each weight's own value moves single weights."""
        super().check(ranking)
        if not isinstance(ranking.shape, Weights):
            raise ValueError(
                f"shape must be Weights() for {type(self).__name__}, which drops each weight by "
                f"its own value, got {ranking.shape}"
            )

    def memory(self, params: Params, masks: Masks) -> Params:
        """What the method remembers from the beginning, by names of its own: nothing here."""
        return {}

    @abstractmethod
    def moves(self, ranking: Ranking, seen: Seen, state: State) -> Moves:
        """What the round after `state` does; parameters are zero where nothing is kept."""

    def left(self, start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
        """The budget throughout."""
        return budget

    def update_steps(self, steps: int) -> list[int]:
        """See `Schedule.update_steps`."""
        return [] if not self.end else spread(self.start, self.end, self.rounds, steps)

    def begin(self, ranking: Ranking, seen: Seen, masks: Masks, budget: Tensor) -> State:
        """See `Schedule.begin`: a random network; `memory` has which weights may grow."""
        kept = ranking.keep(ranking.needed("noise", seen.noise), masks, budget)
        memory = {**masks, **self.memory(seen.params, masks)}
        start = ranking.counts(masks, budget)
        return State(kept, budget, start, torch.zeros_like(budget[0]), memory)

    def advance(self, ranking: Ranking, seen: Seen, state: State) -> tuple[Params, State]:
        """See `Schedule.advance`: the moved masks, new weights at zero."""
        # What the masks prune is new when it grows, whatever `params` holds there.
        live = apply(seen.params, state.masks)
        check_weights(live, state.masks)
        moves = self.moves(ranking, seen._replace(params=live), state)
        finished = state.round >= self.rounds
        done = state._replace(
            masks=_unless(finished, moves.masks, state.masks),
            round=(state.round + 1).clamp(max=self.rounds),
            memory=_unless(finished, moves.memory, state.memory),
        )
        return apply(_unless(finished, moves.params, live), done.masks), done


def _unless(finished: Tensor, new: Params, old: Params) -> Params:
    return {name: old[name].where(finished, value) for name, value in new.items()}
