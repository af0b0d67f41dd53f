"""The steps of a regrowth, of whatever networks: elimination, a long training, growth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic

import torch
from torch import Tensor

from prunelimits.elimination.beam import best, offer, removed, take
from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.regrowth_config import Regrowth
from prunelimits.elimination.regrowth_state import Done, RegrowthState
from prunelimits.elimination.stack import AnyStack, join_all
from prunelimits.randomness import derive
from prunelimits.training import Recipe

# Of each network that grows, so many grown ones.
_GROWN = 2


class AbstractRegrowing(ABC, Generic[AnyStack]):
    """A regrowth under way. Networks' scores are minus their loss on all rows.

    Args:
        method: How.
        data: On what.
        keep: Weights that survive, at most.
        seed: Decides all random numbers.
    """

    def __init__(self, method: Regrowth, data: EliminationData, keep: int, seed: int) -> None:
        self.method, self.data, self.keep = method, data, keep
        self.recipes = method.recipes(len(data.x))
        self.seed, self._round = seed, 0

    @property
    @abstractmethod
    def done(self) -> Done:
        """What all trainings so far have cost and shown."""

    @abstractmethod
    def take_up(self, done: Done) -> None:
        """Goes on from there."""

    @abstractmethod
    def plain(self, networks: AnyStack) -> dict[str, Any]:
        """Networks as tensors by name, to be kept in a file."""

    @abstractmethod
    def checked(self, plain: dict[str, Any]) -> AnyStack:
        """The networks that a file keeps; raises if they cannot be of this regrowth."""

    @property
    def work(self) -> int:
        """Kept parameters times samples so far."""
        return self.done.work

    @abstractmethod
    def candidates(self, networks: AnyStack, count: int, noise: torch.Generator) -> AnyStack:
        """Untrained networks that lack `count` parameters or more, `tries` of each network."""

    @abstractmethod
    def larger(self, parents: AnyStack, count: int, noise: torch.Generator) -> AnyStack:
        """Each network with `count` more weights, at zero, where the loss falls fastest."""

    @abstractmethod
    def trained(self, networks: AnyStack, recipe: Recipe, round_: int) -> AnyStack:
        """The networks after a training, with scores, without those that diverged; adds to work."""

    @abstractmethod
    def losses(self, networks: AnyStack, x: Tensor, y: Tensor) -> Tensor:
        """The loss of a row of these, float64 `(models,)`."""

    @abstractmethod
    def measured(self, networks: AnyStack) -> AnyStack:
        """The networks with accuracy, or R², on the rows to choose by as their score."""

    @abstractmethod
    def weights(self, networks: AnyStack) -> Tensor:
        """How many weights each network keeps, int64 `(models,)`."""

    def best_networks(self, starts: AnyStack) -> AnyStack:
        """What all cycles found at the goal, trained long; none where every training diverged."""
        state = self.begun(starts)
        while not state.finished:
            state = self.next(state)
        return state.best_networks

    def begun(self, starts: AnyStack) -> RegrowthState[AnyStack]:
        """Before the first elimination, of the starts."""
        return self._noted(
            RegrowthState(
                waiting=self._offered({}, starts), arrived=starts[:0], finished=not len(starts)
            )
        )

    def next(self, state: RegrowthState[AnyStack]) -> RegrowthState[AnyStack]:
        """One training further: an elimination, the long one at the goal, or that of what grew.

        A pure function of the state, whatever was done before.
        """
        self._take_up(state)
        method = self.method
        some, waiting = take(state.waiting, method.step, method.beam, method.per_origin)
        if some is not None:
            arrived, waiting = self._eliminated(some, waiting, state.arrived)
            return self._noted(replace(state, waiting=waiting, arrived=arrived))
        if not state.grows:
            found = join_all([*state.found, *self._at_the_goal(state.arrived)])
            finished = not len(found) or state.cycle == method.cycles
            return self._noted(replace(state, found=(found,), grows=True, finished=finished))
        grown = self._grown(state.found[0])
        return self._noted(
            replace(
                state, waiting=self._offered({}, grown), arrived=grown[:0], grows=False,
                cycle=state.cycle + 1,
            )
        )  # fmt: skip

    def chosen(self, found: AnyStack) -> AnyStack:
        """The one of best accuracy on the rows to choose by, of equals the one of least loss."""
        losses = found.score
        measured = self.measured(found)
        if self.data.loss == "mse":
            return measured[measured.score.argmax()[None]]
        ties = measured.score == measured.score.max()
        return measured[losses.masked_fill(~ties, -torch.inf).argmax()[None]]

    def _eliminated(
        self, some: AnyStack, waiting: Mapping[int, AnyStack], arrived: AnyStack
    ) -> tuple[AnyStack, Mapping[int, AnyStack]]:
        """What has arrived at the goal and what waits, after the largest networks lost some.

        At the goal are those of at most `keep` weights; larger ones lose a share of their
        parameters, but not more than the smallest of them has to.
        """
        excess = self.weights(some) - self.keep
        arrived = join_all([arrived, some[excess <= 0]])
        some, excess = some[excess > 0], excess[excess > 0]
        if len(some):
            share = removed(int(some.nonzeros().max()), self.method.step)
            count = min(share, int(excess.min()))
            found = self.candidates(some, count, self._noise(3))
            waiting = self._offered(waiting, self._next(found, self.recipes.recovery))
        return arrived, waiting

    def score(self, networks: AnyStack, losses: Tensor) -> Tensor:
        """Minus the loss of a row: of those to train on, where it is `losses`, and to choose by."""
        data, total = self.data, losses
        if data.measure_x is not data.x:
            others = self.losses(networks, data.measure_x, data.measure_y)
            n, m = len(data.x), len(data.measure_x)
            total = (n * total + m * others) / (n + m)
        return (-total).nan_to_num(nan=-torch.inf)

    def word(self, *path: int) -> int:
        """A seed for the part of the regrowth that the path names."""
        return int(derive(self.seed, *path)[0] >> 1)

    def _at_the_goal(self, arrived: AnyStack) -> list[AnyStack]:
        """The best of those that arrived, as they are and after the long training."""
        if not len(arrived):
            return [arrived]
        arrived = best(arrived, len(arrived), len(arrived))[: self.method.finalists]
        return [arrived, self._next(arrived, self.recipes.last)]

    def _grown(self, found: AnyStack) -> AnyStack:
        """The best networks so far with more weights, trained with these."""
        parents = best(found, self.method.beam, self.method.per_origin)
        parents = parents[torch.arange(len(parents), device="cpu").repeat_interleave(_GROWN)]
        more = max(1, int(self.method.growth * self.keep))
        larger = self.larger(parents, more, self._noise(4))
        return self._next(larger, replace(self.recipes.recovery, lr=self.recipes.last.lr))

    def _noted(self, state: RegrowthState[AnyStack]) -> RegrowthState[AnyStack]:
        return replace(state, round=self._round, done=self.done)

    def _take_up(self, state: RegrowthState[AnyStack]) -> None:
        self._round = state.round
        self.take_up(state.done)

    def _next(self, networks: AnyStack, recipe: Recipe) -> AnyStack:
        """One more training."""
        self._round += 1
        return self.trained(networks, recipe, self._round)

    def _noise(self, step: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.word(step, self._round))

    def _offered(self, waiting: Mapping[int, AnyStack], networks: AnyStack) -> dict[int, AnyStack]:
        return offer(waiting, networks, self.method.beam, self.method.per_origin)
