"""A method of one's own as a class: a score with numbers as fields."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from typing_extensions import override

from prunelimits.pruners.catalogue.method import Method
from prunelimits.pruners.pruner import Pruner
from prunelimits.pruners.schedules import AtOnce, Schedule
from prunelimits.pruners.scoring import AnyScore, Score
from prunelimits.structure import Normalise
from prunelimits.types import Masks, Params, Problem, Scores


@dataclass(frozen=True, kw_only=True)
class AtInit(Method):
    """A named method that prunes at once; a subclass says how it scores.

    A function alone is `Pruner(score=function)`; a class has a name of its own in tables and
    numbers as fields. With another schedule, override `schedule`.

        >>> class Cubed(AtInit):
        ...     def scores(self, problem, params, masks, noise=None):
        ...         return {name: params[name].abs() ** 3 for name in masks}

    Attributes:
        needs_data: Whether the scores use the problem's batches and loss.
        needs_noise: Whether they want uniform random numbers.
        normalise: What BatchNorm normalises by while the method scores.
        batches: How many batches `fit` gives; None: all.
        revive: Whether a round chooses among all weights again, not only among those left.
    """

    # Where a subclass says them, as class attributes or properties.
    needs_data: ClassVar[bool] = False  # pyright: ignore[reportIncompatibleMethodOverride]
    needs_noise: ClassVar[bool] = False  # pyright: ignore[reportIncompatibleMethodOverride]
    normalise: ClassVar[Normalise] = "running"  # pyright: ignore[reportIncompatibleMethodOverride]
    batches: ClassVar[int | None] = 1  # pyright: ignore[reportIncompatibleMethodOverride]
    revive: ClassVar[bool] = False

    @abstractmethod
    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """How much each weight that `masks` name is worth keeping; larger means keep.

        Args:
            problem: The task, with the batches of this round.
            params: Parameters and buffers by name.
            masks: What is kept now: what it prunes acts as zero, whatever `params` holds there.
            noise: Uniform in [0, 1), shaped like the masks, for pruners that need it.
        """

    @property
    @override
    def score(self) -> AnyScore:
        """Its own."""
        return self.combination.score

    @property
    @override
    def combination(self) -> Pruner:
        """See `AbstractPruner.combination`; a subclass may have a method `score` of its own."""
        score = Score(
            self.scores,
            needs_data=self.needs_data,
            needs_noise=self.needs_noise,
            normalise=self.normalise,
            batches=self.batches,
        )
        return Pruner(
            score=score,
            schedule=self.schedule,
            shape=self.shape,
            scope=self.scope,
            floor=self.floor,
        )

    @property
    @override
    def schedule(self) -> Schedule:
        """At once, in so many rounds."""
        return AtOnce(rounds=self.rounds, revive=self.revive)
