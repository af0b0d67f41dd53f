"""What a named method is: a combination with its paper's numbers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from typing_extensions import override

from prunelimits.pruners.pruner import AbstractPruner, Pruner
from prunelimits.pruners.schedules import AtOnce, Category, Schedule
from prunelimits.pruners.scopes import Scope
from prunelimits.pruners.scoring import AnyScore
from prunelimits.pruners.settings import integer_setting, number_setting
from prunelimits.pruners.shapes import Shape, Weights


@dataclass(frozen=True, kw_only=True)
class Method(AbstractPruner):
    """A combination with a name, and numbers of its own as fields.

    A subclass says how it scores, and when it prunes if that is not at once.

    Attributes:
        category: When it prunes: once before training, during the training of a dense network, or
            while a sparse network moves its weights.
        rounds: How many rounds of pruning: calls of `update` in a training, or, for methods that
            prune at once, scorings inside `init`.
        until: The share of the training after which the last round falls; 0 where `init` does all.
    """

    category: ClassVar[Category] = "at initialisation"
    rounds: int = 1
    until: float = field(default=0.0, init=False, repr=False)
    scope: Scope = "global"
    floor: int = 0
    shape: Shape = field(default_factory=Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        integer_setting(self, "rounds", 1)
        number_setting(self, "until", least=0, most=1)
        _ = self.combination  # a combination that makes no sense is refused here

    @property
    @abstractmethod
    def score(self) -> AnyScore:
        """How much each weight matters."""

    @property
    def schedule(self) -> Schedule:
        """When it prunes: at once, in so many rounds."""
        return AtOnce(rounds=self.rounds)

    @property
    @override
    def combination(self) -> Pruner:
        """See `AbstractPruner.combination`."""
        return Pruner(
            score=self.score,
            schedule=self.schedule,
            shape=self.shape,
            scope=self.scope,
            floor=self.floor,
        )
