"""Everything before the training, in one round or several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from typing_extensions import override

from prunelimits.arguments import checked_flag, checked_integer, checked_tensors, shown
from prunelimits.masks import apply
from prunelimits.progress import tracked
from prunelimits.pruners.nan_checks import check_scores, check_task, check_weights
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.schedules.curves import Curve, check_curve, geometric, survivors
from prunelimits.pruners.schedules.schedule import Category, Schedule
from prunelimits.pruners.scoring import LearnedScore
from prunelimits.pruners.shapes import Weights
from prunelimits.pruners.state import Seen, State
from prunelimits.types import Masks, Params, Problem, Scores


@final
@dataclass(frozen=True, kw_only=True)
class AtOnce(Schedule):
    """Scores and prunes at once, in one round or several with no training between them.

    One round scores with all the problem's batches; of several, round r (from 0) has batch r modulo
    their number to itself.

    Attributes:
        rounds: How often to score.
        curve: How many weights each round leaves.
        revive: Whether a round chooses among all weights again, not only among those left.

    Examples:
        >>> AtOnce(rounds=3).left(torch.tensor([800]), torch.tensor([100]), 1 / 3)
        tensor([400])
    """

    category: ClassVar[Category] = "at initialisation"
    rounds: int = 1
    curve: Curve = geometric
    revive: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_curve(self.curve)
        checked_flag("revive", self.revive)

    @property
    @override
    def acts_in_training(self) -> bool:
        """Not."""
        return False

    @override
    def check(self, ranking: Ranking) -> None:
        """A learned score is found once."""
        if not isinstance(ranking.score, LearnedScore):
            return
        if self.rounds > 1 or self.revive:
            super().check(ranking)
        if ranking.score.chooses and not isinstance(ranking.shape, Weights):
            raise ValueError(
                "shape must be Weights() for a method that chooses single weights itself, got "
                f"{ranking.shape}"
            )

    def left(self, start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
        """See `Schedule.left`."""
        return survivors(self.curve, start, budget, progress)

    def update_steps(self, steps: int) -> list[int]:
        """None: nothing is left to do in a training."""
        checked_integer("steps", steps, 1)
        return []

    def each_round(
        self, ranking: Ranking, seen: Seen, masks: Masks, budget: Tensor
    ) -> Iterator[tuple[Scores, Masks]]:
        """The scores and the masks of every round, `rounds` pairs; arguments as for `begin`."""
        start, current = ranking.counts(masks, budget), masks
        for done in tracked(range(self.rounds)):
            among = masks if self.revive else current
            part = seen._replace(problem=self._of_round(seen.problem, done))
            scores = ranking.scores(part, current, among, of=seen.problem)
            keep = self.left(start, budget, (done + 1) / self.rounds)
            current = ranking.keep(scores, among, keep)
            yield scores, current

    def _of_round(self, problem: Problem, done: int) -> Problem:
        if self.rounds == 1 or not problem.batches:
            return problem
        return problem._replace(batches=[problem.batches[done % len(problem.batches)]])

    def begin(self, ranking: Ranking, seen: Seen, masks: Masks, budget: Tensor) -> State:
        """See `Schedule.begin`: all rounds; of a learned score, `memory` has the weights."""
        memory: Params = {}
        if isinstance(ranking.score, LearnedScore):
            kept, memory = _learned(ranking, ranking.score, seen, masks, budget)
        else:
            *_, (_, kept) = self.each_round(ranking, seen, masks, budget)
        start = ranking.counts(masks, budget)
        return State(kept, budget, start, torch.zeros_like(budget[0]), memory)

    def advance(self, ranking: Ranking, seen: Seen, state: State) -> tuple[Params, State]:
        """The parameters masked, and the state as it is."""
        return apply(seen.params, state.masks), state


def _learned(
    ranking: Ranking, score: LearnedScore, seen: Seen, masks: Masks, budget: Tensor
) -> tuple[Masks, Params]:
    problem, params = seen.problem, seen.params
    if score.needs_data:
        check_task(problem, params, masks)
    else:
        check_weights(params, masks)
    found: object = score.function(
        problem, params, masks, budget, ranking, seen.noise, **dict(score.options)
    )
    if not isinstance(found, tuple) or len(found) != 2:  # pyright: ignore[reportUnknownArgumentType]
        raise TypeError(f"score of {ranking.name} must give scores and params, got {shown(found)}")
    scores = dict(checked_tensors("scores", found[0]))  # pyright: ignore[reportUnknownArgumentType]
    learned = dict(checked_tensors("params", found[1], real=False))  # pyright: ignore[reportUnknownArgumentType]
    check_scores(scores, masks, ranking.name, problem, params)
    return ranking.keep(scores, masks, budget), learned
