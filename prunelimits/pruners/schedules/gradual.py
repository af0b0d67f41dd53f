"""Little by little while the network trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from prunelimits.masks import apply
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.schedules.curves import Curve, check_curve, cubic, survivors
from prunelimits.pruners.schedules.schedule import Category, Schedule
from prunelimits.pruners.schedules.times import Time, check_window, spread
from prunelimits.pruners.state import Seen, State
from prunelimits.types import Masks, Params


@final
@dataclass(frozen=True, kw_only=True)
class Gradual(Schedule):
    """Starts dense and prunes in rounds during the training; no weight returns.

    Points of the training are optimizer steps if they are integers, shares of it if they are
    floats. The time after `end` is for what is left to recover.

    Attributes:
        rounds: How often to prune.
        curve: How many weights each round leaves.
        start: Where the first interval begins.
        end: Where the last round falls, or just before.

    Raises:
        ValueError: If `start` is not before `end`, or a number is out of its range.

    Examples:
        >>> Gradual(rounds=3, start=0.1, end=0.4).update_steps(1000)
        [200, 300, 400]
    """

    category: ClassVar[Category] = "dense to sparse"
    rounds: int = 100
    curve: Curve = cubic
    start: Time = 0
    end: Time = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        check_curve(self.curve)
        check_window(self)
        if not self.end:
            raise ValueError(f"end must be above 0, got {self.end}: rounds need some training")

    def left(self, start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
        """See `Schedule.left`."""
        return survivors(self.curve, start, budget, progress)

    def update_steps(self, steps: int) -> list[int]:
        """See `Schedule.update_steps`."""
        return spread(self.start, self.end, self.rounds, steps)

    def begin(self, ranking: Ranking, seen: Seen, masks: Masks, budget: Tensor) -> State:
        """See `Schedule.begin`: nothing is pruned yet."""
        start = ranking.counts(masks, budget)
        return State(masks, budget, start, torch.zeros_like(budget[0]), {})

    def advance(self, ranking: Ranking, seen: Seen, state: State) -> tuple[Params, State]:
        """See `Schedule.advance`: the next round's masks."""
        done = (state.round + 1).clamp(max=self.rounds)
        masks = next_masks(self, ranking, seen, state, done)
        return apply(seen.params, masks), state._replace(masks=masks, round=done)


def next_masks(
    schedule: Schedule, ranking: Ranking, seen: Seen, state: State, done: Tensor
) -> Masks:
    """What is left after round `done`, of what `state` keeps."""
    keep = schedule.left(state.start, state.budget, done.double() / schedule.rounds)
    # A curve of the user's may rise; what is pruned stays pruned.
    keep = keep.minimum(ranking.counts(state.masks, state.budget))
    return ranking.keep(ranking.scores(seen, state.masks), state.masks, keep)
