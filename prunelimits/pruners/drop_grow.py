"""The rule of methods that move a share of each layer's weights by scores."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from torch import Tensor

from prunelimits.pruners.base import State
from prunelimits.pruners.schedules import cosine
from prunelimits.pruners.selection import select
from prunelimits.pruners.settings import choice_setting, number_setting
from prunelimits.pruners.sparse_to_sparse import Moves, SparseToSparse
from prunelimits.types import Masks, Params, Scores

Decay: TypeAlias = Literal["cosine", "constant"]


@dataclass(frozen=True, kw_only=True)
class DropGrow(SparseToSparse):
    """Starts sparse at random; each round drops weights and grows as many, layer by layer.

    Round r of R drops `floor(f n)` of a layer's n weights, `f = fraction (1 + cos(pi r / R)) / 2`
    or constant, and grows as many among all that are then not kept, the dropped ones included.

    A subclass says by what it drops and by what it grows.

    Attributes:
        rounds: How often to move weights in a training.
        until: The share of the training after which the last round falls.
        scope: How the layers' quotas are set; `"global"` is not possible.
        fraction: The share of a layer's weights that the first rounds move.
        decay: How that share falls to zero: along a cosine, or not at all.
    """

    rounds: int = 146
    until: float = 0.75
    fraction: float = 0.3
    decay: Decay = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scope == "global":
            raise ValueError("scope must give layers quotas, such as 'erk', got 'global'")
        number_setting(self, "fraction", least=0, most=1)
        choice_setting(self, "decay", get_args(Decay))

    @abstractmethod
    def drop_scores(self, params: Params, masks: Masks) -> Scores:
        """How much each kept weight is worth keeping: the lowest are dropped."""

    @abstractmethod
    def grow_scores(self, grads: Params | None, masks: Masks, noise: Params | None) -> Scores:
        """How much each weight that is not kept is worth growing: the largest are grown."""

    def start(self, params: Params, masks: Masks) -> Params:
        """Nothing."""
        return {}

    def moves(
        self, state: State, params: Params, grads: Params | None, noise: Params | None
    ) -> Moves:
        """See `SparseToSparse.moves`: as many grow in a layer as are dropped there."""
        # A product that rounding errors put just below a whole number is that number.
        growth = (self.share(state.round + 1) * state.budget + 1e-9).floor().long()
        stay = select(self.drop_scores(params, state.masks), state.masks, state.budget - growth)
        scores = self.grow_scores(grads, state.masks, noise)
        return Moves(params, stay, growth, scores, state.memory)

    def share(self, done: Tensor) -> Tensor:
        """The share of a layer's weights that round `done` (from 1) moves, float64."""
        progress = done.double() / self.rounds
        return self.fraction * (cosine(progress) if self.decay == "cosine" else progress**0)
