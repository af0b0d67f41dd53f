"""What a schedule is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from torch import Tensor

from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.scoring import Score
from prunelimits.pruners.settings import integer_setting
from prunelimits.pruners.state import Seen, State
from prunelimits.types import Masks, Params

Category: TypeAlias = Literal["at initialisation", "dense to sparse", "sparse to sparse"]
"""When a method prunes: before training, during it, or by moving the few weights there are."""


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """When is pruned, and how many survive each time. Schedules are frozen values.

    A schedule has no clock: a round is whenever the caller says so; `update_steps` says when it is
    meant to. `begin` and `advance` are pure functions of tensors and work under `torch.vmap`.

    Attributes:
        category: When methods of this schedule prune.
        rounds: How many rounds there are.
    """

    category: ClassVar[Category]
    rounds: int

    def __post_init__(self) -> None:
        integer_setting(self, "rounds", 1)

    @property
    def acts_in_training(self) -> bool:
        """Whether rounds take place in a training; else `begin` does all."""
        return True

    @property
    def needs_gradients(self) -> bool:
        """Whether rounds want the loss's gradient by all weights, pruned ones too."""
        return False

    @property
    def needs_noise(self) -> bool:
        """Whether it draws random numbers itself."""
        return False

    def check(self, ranking: Ranking) -> None:
        """Raises `ValueError` for a combination that makes no sense, with the reason."""
        if not isinstance(ranking.score, Score):
            raise ValueError(
                "schedule must be AtOnce() for a score that is learned in a training of its own, "
                f"got {self}"
            )

    @abstractmethod
    def left(self, start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
        """How many weights are left when the share `progress` of the rounds is done, int64."""

    @abstractmethod
    def update_steps(self, steps: int) -> list[int]:
        """After which optimizer steps (from 1) rounds fall, once for every entry.

        Raises:
            ValueError: If `steps` is below 1, or the schedule's end lies behind them.
            TypeError: If `steps` is not an integer.
        """

    @abstractmethod
    def begin(self, ranking: Ranking, seen: Seen, masks: Masks, budget: Tensor) -> State:
        """The state before training; `masks` are the weights that may be kept."""

    @abstractmethod
    def advance(self, ranking: Ranking, seen: Seen, state: State) -> tuple[Params, State]:
        """A round: new parameters, zero where the new masks prune, and the new state.

        A weight that comes back starts from zero. After the last round masks stay as they are.
        """
