"""Train, prune, and train again from the beginning, or from a later step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from prunelimits.masks import apply
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.schedules.curves import Curve, check_curve, geometric, survivors
from prunelimits.pruners.schedules.gradual import next_masks
from prunelimits.pruners.schedules.schedule import Category, Schedule
from prunelimits.pruners.schedules.times import Time, checked_time, spread
from prunelimits.pruners.state import Seen, State
from prunelimits.types import Masks, Params


@final
@dataclass(frozen=True, kw_only=True)
class Rewind(Schedule):
    """After each whole training, prunes and sets everything left back to where it was before.

    The training after the last round keeps all it was given. Parameters and buffers go back to
    those of step `to`, and each training goes on from that step:
    [linear mode connectivity](https://arxiv.org/abs/1912.05671) says why not from the first.

    Attributes:
        rounds: How often to prune: one training more than that.
        curve: How many weights each round leaves.
        to: Where trainings go back to: 0 is the start, an integer optimizer steps, a float a share
            of the training.
    """

    category: ClassVar[Category] = "dense to sparse"
    rounds: int = 4
    curve: Curve = geometric
    to: Time = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_curve(self.curve)
        to = checked_time("to", self.to)
        if to == 1 and isinstance(to, float):
            raise ValueError(f"to must be before the training's end, got {to}")
        object.__setattr__(self, "to", to)

    def left(self, start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
        """See `Schedule.left`."""
        return survivors(self.curve, start, budget, progress)

    def update_steps(self, steps: int) -> list[int]:
        """After which of `steps` that all trainings have together, but for the last."""
        return spread(0, 1.0, self.rounds, steps)

    def begin(self, ranking: Ranking, seen: Seen, masks: Masks, budget: Tensor) -> State:
        """See `Schedule.begin`: nothing is pruned; `memory` is a copy of the parameters."""
        memory = {name: value.detach().clone() for name, value in seen.params.items()}
        start = ranking.counts(masks, budget)
        return State(masks, budget, start, torch.zeros_like(budget[0]), memory)

    def advance(self, ranking: Ranking, seen: Seen, state: State) -> tuple[Params, State]:
        """The first parameters under the next round's masks; after the last round, `params`."""
        finished = state.round >= self.rounds
        done = (state.round + 1).clamp(max=self.rounds)
        masks = next_masks(self, ranking, seen, state, done)
        params = seen.params
        rewound = {n: value.where(finished, state.memory[n]) for n, value in params.items()}
        return apply(rewound, masks), state._replace(masks=masks, round=done)
