"""Moves of a share of each layer's weights, by scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, final, get_args

from torch import Tensor
from typing_extensions import override

from prunelimits.arguments import checked_callable, checked_flag, checked_instance, checked_tensors
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.schedules.curves import half_cosine
from prunelimits.pruners.schedules.moving import Moves, Moving
from prunelimits.pruners.schedules.schedule import Schedule
from prunelimits.pruners.schedules.times import Time
from prunelimits.pruners.scoring import Score
from prunelimits.pruners.settings import choice_setting, number_setting
from prunelimits.pruners.shapes import NOfM, Units, Weights
from prunelimits.pruners.state import Seen, State
from prunelimits.types import Masks, Scores

Decay: TypeAlias = Literal["cosine", "constant"]


@final
@dataclass(frozen=True)
class Growth:
    """How much each weight that is not kept is worth growing.

    Attributes:
        function: Of what a round sees and the weights that may grow; larger means grow.
        needs_gradients: Whether it uses the loss's gradient by all weights, `seen.grads`.
        needs_noise: Whether it uses uniform random numbers, `seen.noise`.
    """

    function: Callable[[Seen, Masks], Scores]
    needs_gradients: bool = False
    needs_noise: bool = False

    def __post_init__(self) -> None:
        what = "a function of what a round sees and masks"
        checked_callable("function", self.function, what, arguments=2)
        checked_flag("needs_gradients", self.needs_gradients)
        checked_flag("needs_noise", self.needs_noise)


def _gradient_sizes(seen: Seen, masks: Masks) -> Scores:
    grads = seen.grads or {}
    return {name: grads[name].abs() for name in masks}


def _noise(seen: Seen, masks: Masks) -> Scores:
    return dict(seen.noise or {})


by_gradient = Growth(_gradient_sizes, needs_gradients=True)
"""Grows the largest `|dL/dw|`, as RigL does."""
at_random = Growth(_noise, needs_noise=True)
"""Grows at random, as SET does."""


@final
@dataclass(frozen=True, kw_only=True)
class DropGrow(Moving):
    """Starts sparse at random; each round drops weights and grows as many, layer by layer.

    Round r of R drops `floor(f n)` of a layer's n weights, those with the lowest scores,
    `f = fraction (1 + cos(pi r / R)) / 2` or constant, and grows as many among all that are then
    not kept, the dropped ones included. In tiles, whole ones; of N:M, each group regains what it
    lost.

    Attributes:
        grow: By what weights grow: `at_random`, `by_gradient`, or a `Growth` of one's own.
        rounds: How often to move weights in a training.
        end: Where the last round falls, or just before.
        fraction: The share of a layer's weights that the first rounds move.
        decay: How that share falls to zero: along a cosine, or not at all.
    """

    grow: Growth = at_random
    rounds: int = 146
    end: Time = 0.75
    fraction: float = 0.3
    decay: Decay = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_instance("grow", self.grow, Growth, "at_random, by_gradient or a Growth")
        number_setting(self, "fraction", least=0, most=1)
        choice_setting(self, "decay", get_args(Decay))

    @property
    @override
    def needs_gradients(self) -> bool:
        """Where weights grow by them."""
        return self.grow.needs_gradients

    @override
    def check(self, ranking: Ranking) -> None:
        """It moves a share of each layer, in any shape."""
        Schedule.check(self, ranking)
        if isinstance(ranking.shape, Units):
            raise ValueError(
                "shape must not be Units for DropGrow: a unit that grows begins with zeros before "
                "and behind it, where no gradient reaches it, and would never learn"
            )
        if ranking.scope == "global" and not isinstance(ranking.shape, NOfM):
            raise ValueError("scope must give layers quotas, such as 'erk', got 'global'")

    def moves(self, ranking: Ranking, seen: Seen, state: State) -> Moves:
        """See `Moving.moves`: as many grow in a layer as are dropped there."""
        assert isinstance(ranking.score, Score)
        if self.grow.needs_gradients:
            ranking.needed("grads", seen.grads)
        if self.grow.needs_noise:
            ranking.needed("noise", seen.noise)
        free = ranking._replace(floor=0)  # quotas are above it
        # A product that rounding errors put just below a whole number is that number.
        growth = (self.share(state.round + 1) * state.budget + 1e-9).floor().long()
        # One of N weights can be dropped, though N of M must be kept.
        pieces = Weights() if isinstance(ranking.shape, NOfM) else ranking.shape
        sizes = ranking.scores(seen, state.masks)
        stay = free._replace(shape=pieces).keep(sizes, state.masks, state.budget - growth)
        open_to = {name: state.memory[name] for name in state.masks}
        worth = dict(checked_tensors("growth", self.grow.function(seen, open_to)))
        masks = free.keep(worth, open_to, state.budget, forced=stay)
        return Moves(seen.params, masks, state.memory)

    def share(self, done: Tensor) -> Tensor:
        """The share of a layer's weights that round `done` (from 1) moves, float64."""
        progress = done.double() / self.rounds
        return self.fraction * (half_cosine(progress) if self.decay == "cosine" else progress**0)
